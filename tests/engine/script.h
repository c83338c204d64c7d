/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Random operations on an image, one after the other, recorded, and the stamps
   that its sectors may hold at any instant. */
#ifndef SCRIPT_H
#define SCRIPT_H

#include <stdbool.h>
#include "tests/engine/geometry.h"
#include "tests/lib/disk.h"
#include "tests/lib/operations.h"

#define SCRIPT_LENGTH  60
#define SCRIPT_JOURNAL (8u << 10) /* bytes of the journal's file */

struct script {
	const struct geometry *geometry;
	uint64_t size; /* of the virtual disk, bytes */
	struct operation operations[SCRIPT_LENGTH];
	uint32_t *before; /* stamps when they began */
	bool durable;	  /* ... were on stable storage */
	uint32_t *after;  /* stamps after the first known operations */
	unsigned int known;
};

/* At first, nothing has happened. */
void script_create(struct script *script, const struct geometry *geometry,
		   uint64_t size);
void script_destroy(struct script *script);
/* A stamp for each sector, of zeros; free() frees them. */
uint32_t *script_new_stamps(const struct script *script);

/* Opens the image on a disk; its journal is in the scratch directory
   "journals".  With force, the image is opened whatever has become of the
   journal. */
struct qcow_image *script_open(const struct script *script, struct disk *disk,
			       bool force);

/* Draws the operations, does them to an image on the disk, and closes it; the
   disk counts them. */
void script_play(struct script *script, struct disk *disk,
		 struct qcow_image *image, struct random *random);

/* Checks stamps after the first `low` operations.  Operations below `high` may
   have changed a sector, too.  Dies of a stamp that cannot be. */
void script_check(struct script *script, const uint32_t *stamps,
		  unsigned int low, unsigned int high, const char *where);

/* The number of operations that are surely on stable storage when `acked` were
   acknowledged.  Above SCRIPT_LENGTH: nobody can tell. */
unsigned int script_flushed(const struct script *script, unsigned int acked);

#endif /* SCRIPT_H */
