/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Random operations on an image by processes that die, beside the same on
   its contents. */
#ifndef DYING_WRITERS_H
#define DYING_WRITERS_H

#include "tests/lib/contents.h"
#include "qcow/qcow.h"

struct dying_writers {
	const char *path; /* of the image */
	const char *what; /* for messages */
	struct contents *contents;
	struct random random;
	bool reissue;		   /* always, what was under way at a death */
	unsigned int deaths, torn; /* of them, within an operation */
	unsigned int operations;
};

/* Reads the image through the engine, as a reader only, and compares; to be
   called first. */
void dying_compare(struct dying_writers *lives);

/*
 * Some lives that end in a death, and a last one with clean closes.  Each
 * begins with a look at the whole disk: all that was acknowledged is there,
 * and what was under way is there or is not, sector by sector (P1).
 */
void dying_run(struct dying_writers *lives);

#endif /* DYING_WRITERS_H */
