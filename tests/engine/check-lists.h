/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The parts of `check-lists`: lists in an image, and ways to break them.
 */
#ifndef CHECK_LISTS_H
#define CHECK_LISTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CLUSTER 65536u
#define MANY	65536u /* the limit */

/* The head of a snapshot's entry, and of a bitmap's. */
#define HEAD	     40u
#define ID_LENGTH    12
#define NAME_LENGTH  14
#define EXTRA_LENGTH 36
#define NEW_EXTRA    16u
#define BITMAP_HEAD  24u

/* An image that grows. */
struct image {
	uint8_t *bytes;
	size_t size;
};

struct row {
	const char *name;
	void (*poke)(struct image *image);
	bool bitmaps;
	bool cut;  /* some snapshots are dropped */
	bool slow; /* qemu-img needs seconds to open it */
};

/* check-lists-bitmaps.c: bitmap directories. */
extern const struct row bitmap_rows[];
extern const unsigned int nr_bitmap_rows;

#endif /* CHECK_LISTS_H */
