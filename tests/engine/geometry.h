/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The images on which deaths and losses of power are tried.  They are small,
   and of every kind that takes a way of its own through the engine. */
#ifndef GEOMETRY_H
#define GEOMETRY_H

#include <stdint.h>

#define STAMPED 1000000u /* the stamp of their first data: of no operation */

struct geometry {
	const char *options; /* of qemu-img create */
	uint32_t cluster;
	const char *size;
	enum base {
		EMPTY,
		NEARLY_FULL, /* the refcount table has to move */
		DEVICE,	     /* on a block device */
		COMPRESSED,
		SNAPSHOT,
		OVERLAY,
	} base; /* the contents of the image to begin with */
};

extern const struct geometry geometries[];
extern const unsigned int nr_geometries;

/* Makes the image of a geometry.  The file below an overlay is the scratch file
   "raw".  Returns the size of the disk. */
uint64_t geometry_make(const struct geometry *geometry, const char *path);

#endif /* GEOMETRY_H */
