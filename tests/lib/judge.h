/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A reader of qcow2 images that shares no code with the engine: slow, short
 * and strict.  It judges the image after a death or a loss of power.
 */
#ifndef JUDGE_H
#define JUDGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct verdict {
	unsigned int corruptions; /* counted less than referenced, ... */
	unsigned int leaks;	  /* counted more than referenced */
	char first[160];	  /* the first of them, in words */
};

/* Judges the refcounts and entries of an image in memory. */
void judge(const uint8_t *image, size_t size, struct verdict *verdict);

/* Reads a guest sector; false: its subcluster cannot be. */
bool judge_read(const uint8_t *image, size_t size, uint64_t sector,
		uint8_t bytes[512]);

/* The count of a host cluster in the refcount blocks. */
uint64_t judge_count(const uint8_t *image, size_t size, uint64_t cluster);

#endif /* JUDGE_H */
