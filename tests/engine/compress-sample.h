/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Compressed images for tests. */
#ifndef COMPRESS_SAMPLE_H
#define COMPRESS_SAMPLE_H

#include "tests/lib/helpers.h"
#include "qcow/compress.h"

#define MAX_ENTRIES 2048u

/* A compressed image, and its contents. */
struct sample {
	char what[80];
	char *path;
	uint32_t cluster_bits;
	enum compression type;
	uint8_t *raw; /* every byte of the disk */
	size_t size;
	unsigned int count;
	struct {
		uint64_t entry;
		uint64_t guest; /* bytes */
	} found[MAX_ENTRIES];
};

/* Has qemu-img make an image of a type and cluster size that are set. */
void sample_make(struct sample *sample, const char *compat,
		 struct random *random);
void sample_free(struct sample *sample);

#endif /* COMPRESS_SAMPLE_H */
