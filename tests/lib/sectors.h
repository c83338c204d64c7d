/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A reader of an image in memory, sector by sector, and of the file under it.
 * It shares no code with the engine, and trusts nothing that it reads.
 */
#ifndef SECTORS_H
#define SECTORS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SECTORS_MAX_CLUSTER 65536u

struct sectors {
	const uint8_t *bytes; /* of the image */
	size_t size;
	const uint8_t *under; /* a raw file; NULL: nothing */
	size_t under_size;
	uint32_t cluster_bits, l2_bits;
	bool extended;	 /* L2 entries have subclusters */
	uint64_t l1;	 /* where the table is */
	uint64_t packed; /* the entry whose cluster was unpacked last */
	uint8_t unpacked[SECTORS_MAX_CLUSTER];
};

/* Reads the image as it is now, with nothing under it. */
void sectors_open(struct sectors *sectors, const uint8_t *bytes, size_t size);
/* Its first internal snapshot in its place. */
void sectors_choose_snapshot(struct sectors *sectors);

/* The entries of a guest cluster in the tables; 0 where there is no table. */
struct sectors_entry {
	uint64_t l1, l2, bitmap;
};
void sectors_look_up(const struct sectors *sectors, uint64_t guest,
		     struct sectors_entry *entry);

/* Reads a guest's sector; false: its entry cannot be. */
bool sectors_read(struct sectors *sectors, uint64_t sector, uint8_t bytes[512]);

#endif /* SECTORS_H */
