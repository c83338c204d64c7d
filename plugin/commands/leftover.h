/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An overlay that lies where a command wants to make one.
 */
#ifndef LEFTOVER_H
#define LEFTOVER_H

#include "plugin/common/state.h"

enum leftover {
	LEFTOVER_NONE,	   /* no file is there */
	LEFTOVER_UNUSED,   /* it is as snapshot_take() would make it now */
	LEFTOVER_OUTGROWN, /* likewise, but the disk has grown since */
	LEFTOVER_MERGED,   /* it was merged, and nobody needs it any more */
	LEFTOVER_OTHER,	   /* it is somebody's, or cannot be looked at */
};

/* The disk is locked by the caller. */
enum leftover leftover_look(const struct disk *disk, const char *overlay);

/* Removes an overlay that nobody needs, unless somebody has it open.  Returns
   the exit status. */
int leftover_remove(const char *overlay);

/* The same of an overlay that the disk has not got, as the record says while
   the overlay is locked: nobody can begin to serve it then.  Before that,
   unnamed() takes its name out of all files, and returns 0; it gets the record
   of then.  An overlay that somebody may need stays. */
void leftover_discard(const struct disk *disk, const char *overlay,
		      int (*unnamed)(const struct disk *disk,
				     const char *overlay));

/* The same of an overlay that was merged.  The disk need not be locked:
   another file may have that name by now, and stays. */
int leftover_remove_merged(const char *overlay);

#endif /* LEFTOVER_H */
