/* SPDX-License-Identifier: GPL-2.0-or-later */
/* An image of a combination of features, made by qemu-img and qemu-io. */
#ifndef RECIPE_H
#define RECIPE_H

#include "tests/engine/axes.h"

#define LAYERS_MAX 4

/* A file under the image. */
struct layer {
	char path[80];
	const char *format; /* raw, qcow, qcow2 */
	uint64_t size;	    /* of the disk, bytes */
	uint32_t cluster;   /* bytes, of a qcow2 one */
};

struct recipe {
	struct combination combination;
	struct random random;
	char what[200];	    /* for messages */
	char directory[48]; /* of its own */
	char path[64];
	char data_path[64];	/* the data file, if it has one */
	uint64_t size;		/* of the disk, bytes */
	uint32_t cluster;	/* bytes */
	unsigned int snapshots; /* named 1 and up */
	unsigned int nr_layers;
	struct layer layers[LAYERS_MAX]; /* the next one first */
};

/* Makes the image.  The number names it, and decides every random choice. */
void recipe_make(struct recipe *recipe, const struct combination *combination,
		 unsigned int number, uint64_t seed);
/* Removes the image, with all files in its directory. */
void recipe_remove(const struct recipe *recipe);

unsigned int recipe_value(const struct recipe *recipe, enum axis axis);

#endif /* RECIPE_H */
