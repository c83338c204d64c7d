/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The features that an image may have, and those that go together: qemu-img's
   options, and changes that are made to an image afterwards. */
#ifndef AXES_H
#define AXES_H

#include <stdio.h>
#include "tests/engine/pairs.h"

enum axis {
	AXIS_VERSION,
	AXIS_CLUSTER,
	AXIS_REFCOUNT,
	AXIS_PREALLOCATION,
	AXIS_TYPE,   /* of compression */
	AXIS_PACKED, /* has compressed clusters */
	AXIS_SUBCLUSTERS,
	AXIS_LAZY,
	AXIS_DATA_FILE,
	AXIS_BACKING,
	AXIS_SNAPSHOTS,
	AXIS_BITMAPS,
	AXIS_SIZE,
	NR_AXES,
};

/* For axes of two values; the other axes have their own words. */
enum { NO, YES };
enum { VERSION_2, VERSION_3 };
enum {
	CLUSTER_512,
	CLUSTER_1K,
	CLUSTER_2K,
	CLUSTER_4K,
	CLUSTER_8K,
	CLUSTER_16K,
	CLUSTER_32K
}; /* and so on, up to 2M */
enum { REFCOUNT_1, REFCOUNT_2, REFCOUNT_4, REFCOUNT_8, REFCOUNT_16 };
enum { PREALLOCATION_OFF }; /* metadata, falloc, full */
enum { TYPE_ZLIB, TYPE_ZSTD };
enum { LAZY_OFF, LAZY_ON, LAZY_DIRTY };
enum { DATA_FILE_NONE, DATA_FILE_PLAIN, DATA_FILE_RAW };
enum backing_shape {
	BACKING_SHAPE_NONE,
	BACKING_SHAPE_RAW,
	BACKING_SHAPE_RAW_SHORT,
	BACKING_SHAPE_RAW_LONG,
	BACKING_SHAPE_QCOW2,
	BACKING_SHAPE_OTHER_CLUSTER,
	BACKING_SHAPE_SHORT,
	BACKING_SHAPE_LONG,
	BACKING_SHAPE_DEPTH_2,
	BACKING_SHAPE_DEPTH_4,
	BACKING_SHAPE_QCOW1,
};
enum { SIZE_SECTOR, SIZE_ODD, SIZE_RAGGED, SIZE_WHOLE, SIZE_HUGE };

/* All images, and the images that other programs than QEMU can read. */
extern const struct axes image_axes, plain_axes;

/* The word for a combination's value. */
const char *axis_word(const struct combination *combination, enum axis axis);

/* A table of combinations: the axes' names, and the values of one. */
void axes_print_names(FILE *out);
void axes_print(FILE *out, const struct combination *combination);

#endif /* AXES_H */
