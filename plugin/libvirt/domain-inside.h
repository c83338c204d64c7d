/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Reading a domain's XML, from the inside; for domain.c and domain-entry.c
 * only.
 */
#ifndef DOMAIN_INSIDE_H
#define DOMAIN_INSIDE_H

#include <libxml/tree.h>
#include <stdbool.h>
#include <stddef.h>

#include "plugin/libvirt/domain.h"

/* domain.c */

/* Replaces *text by a copy of value; -ENOMEM. */
int domain_take_text(const char *value, char **text);

/* Makes room for one more element in an array, and zeroes that element; NULL:
   out of memory. */
void *domain_one_more(void **array, size_t *nr, size_t size);

/* domain-entry.c */

/* Reads our entries in <metadata>, which may be NULL.  Returns as
   domain_parse(). */
int domain_read_metadata(const xmlNode *metadata, struct domain *domain,
			 char why[DOMAIN_REASON_MAX]);

#endif /* DOMAIN_INSIDE_H */
