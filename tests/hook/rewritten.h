/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Rewritten domains, and checks of the result.
 */
#ifndef REWRITTEN_H
#define REWRITTEN_H

#include "plugin/libvirt/rewrite.h"

/* A file of hook/xml as a text; the caller frees it. */
char *load(const char *name);

/* The number of nodes, or the text of the first, that XPath finds. */
char *find(const char *text, const char *path);

/* XPath must find that value. */
void expect(const char *text, const char *path, const char *value);

/* The text rewritten, the caller frees it.  NULL: it is refused; why has the
   reason. */
char *rewritten(const char *text, enum rewrite_way way, const char *disk,
		char why[DOMAIN_REASON_MAX]);

/* The same for a text that must not be refused, and for one that must be. */
char *must(const char *text, enum rewrite_way way, const char *disk);
void refused(const char *text, enum rewrite_way way, const char *disk,
	     const char *reason);

/* The hook must find nothing wrong. */
void fits_hook(const char *text);

/* Both must be the same XML. */
void same(const char *a, const char *b);

#endif /* REWRITTEN_H */
