/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A planned change of a disk: one thing that is different for its next server.
 */
#ifndef CHANGE_H
#define CHANGE_H

#include <limits.h>
#include <stdint.h>

enum change_kind {
	CHANGE_NONE,
	CHANGE_SERVER,	 /* nothing: a server of this very program */
	CHANGE_SIZE,	 /* the image and the device grow */
	CHANGE_IMAGE,	 /* an overlay of the image takes the image's place */
	CHANGE_MERGE,	 /* the image is merged into the one below */
	CHANGE_NO_MERGE, /* not any more */
	CHANGE_MERGED,	 /* it is: the one below takes its place; no command
			    asks for that */
	CHANGE_MERGE_TO, /* as CHANGE_MERGE, into one further below: a kind of
			    its own, so that a supervisor of an earlier version
			    refuses it */
};

struct change {
	enum change_kind kind;
	uint64_t size;	      /* CHANGE_SIZE: bytes, whole sectors;
				 CHANGE_MERGE: in a second at most, 0: no limit */
	char image[PATH_MAX]; /* CHANGE_IMAGE: absolute; CHANGE_MERGE: the
				 domain that uses the disk and will name the
				 image below, or "".  CHANGE_MERGE_TO: before
				 that the place of the layer, counted from 1,
				 and a blank */
};

#endif /* CHANGE_H */
