/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The ledger of the load program.  It records, for every block of the disk, the
 * write that was acknowledged last and the write that was issued last.  A block
 * must hold the acknowledged write or a later one: never an older one, never
 * anything else.
 *
 * The ledger lives in memory, which is shared with a file, if one is named.  So
 * it outlives the program, and another run can go on with it or only verify.
 */
#ifndef LEDGER_H
#define LEDGER_H

#include <stdbool.h>
#include <stdint.h>

#include "tests/load/pattern.h"

/* Where the blocks lie: block i at offset + i * stride. */
struct geometry {
	uint64_t offset; /* bytes */
	uint64_t size;	 /* bytes from offset to the end */
	uint64_t stride; /* bytes, at least block */
	uint32_t block;	 /* bytes, a multiple of SECTOR */
	uint32_t seed;
	uint32_t zero; /* an untouched block reads as zeroes */
	uint32_t pad;
};

struct ledger {
	struct geometry geometry;
	uint64_t blocks;
	uint64_t wrong; /* sectors with other bytes than they must hold */
	struct entry *entries;
};

/* Reads the geometry that a ledger file was made with. */
int ledger_geometry(const char *path, struct geometry *geometry);

/* path may be NULL.  Returns 0 or -errno; -EINVAL: the file's geometry is
   another one. */
int ledger_open(struct ledger *ledger, const struct geometry *geometry,
		const char *path);

/* What another ledger of the disk, a later one, was issued may be there, too;
   the file of the first is left alone. */
int ledger_allow(struct ledger *ledger, const char *path);

/* How many writes of blocks it has. */
uint64_t ledger_past(const struct ledger *ledger);

uint64_t ledger_offset(const struct ledger *ledger, uint64_t block);
/* The last block may be shorter than the others. */
uint32_t ledger_length(const struct ledger *ledger, uint64_t block);

/* A write of the block is about to begin; zero: the block becomes zeroes.
   Returns its generation. */
uint32_t ledger_issue(struct ledger *ledger, uint64_t block, bool zero);
/* The write has ended well; a failed write leaves the block uncertain. */
void ledger_acknowledge(struct ledger *ledger, uint64_t block);

bool ledger_touched(const struct ledger *ledger, uint64_t block);

/* Compares the bytes that were read of one block.  Prints and counts each wrong
   sector. */
void ledger_check(struct ledger *ledger, uint64_t block, const void *data);

#endif /* LEDGER_H */
