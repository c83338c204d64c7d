/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the load program writes: every sector tells which sector it is, how
 * often that place had been written before, and by which run.  So a reader
 * can say not only that a sector is wrong, but what it is instead.
 */
#ifndef PATTERN_H
#define PATTERN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SECTOR 512u

/*
 * What a place may hold: a generation (1, 2, ...), zeroes, or, before
 * anything was written there, whatever it held at the start.
 */
struct content {
	uint32_t generation : 30; /* 0: nothing was written yet */
	uint32_t zero : 1;	  /* that generation was zeroes */
	uint32_t maybe_zero : 1;  /* or one of the failed ones before */
};

void pattern_fill(void *buffer, size_t length, uint64_t sector,
		  uint32_t generation, uint32_t seed);

/* Does this one sector hold that content? */
bool pattern_matches(const void *data, uint64_t sector, struct content content,
		     uint32_t seed);

/* Says in words what a sector holds. */
void pattern_describe(const void *data, uint64_t sector, uint32_t seed,
		      char *text, size_t size);

#endif /* PATTERN_H */
