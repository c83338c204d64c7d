/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Processes that die do random operations on an image; the same operations are
   done on its contents. */
#ifndef DYING_WRITERS_H
#define DYING_WRITERS_H

#include "tests/lib/contents.h"
#include "qcow/qcow.h"

struct dying_writers {
	const char *path; /* of the image */
	const char *what; /* for messages */
	struct contents *contents;
	struct random random;
	bool reissue; /* always does the operation under way at a death again */
	unsigned int deaths, torn; /* of them, within an operation */
	unsigned int operations;
};

/* Reads the image through the engine, as a reader only, and compares it with
   the contents.  The caller calls this first. */
void dying_compare(struct dying_writers *lives);

/*
 * Some lives that end in a death, and a last life with clean closes.  Each life
 * begins with a look at the whole disk: every acknowledged change is there, and
 * the change under way is there or is not, sector by sector (P1).
 */
void dying_run(struct dying_writers *lives);

#endif /* DYING_WRITERS_H */
