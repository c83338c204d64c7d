/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The bytes that the load program writes.  Every sector tells its own number,
 * how often that place had been written before, and the run that wrote it.  So
 * a reader can tell a wrong sector, and can also say which other sector, write
 * or run its bytes come from.
 */
#ifndef PATTERN_H
#define PATTERN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SECTOR 512u

/*
 * The content that a place may hold: a generation (1, 2, ...), or zeroes.
 * Before anything was written there, the place may hold whatever it held at the
 * start.
 */
struct content {
	uint32_t generation : 30; /* 0: nothing was written yet */
	uint32_t zero : 1;	  /* that generation was zeroes */
	uint32_t maybe_zero : 1;  /* or a failed one before was */
};

void pattern_fill(void *buffer, size_t length, uint64_t sector,
		  uint32_t generation, uint32_t seed);

/* Does this one sector hold that content? */
bool pattern_matches(const void *data, uint64_t sector, struct content content,
		     uint32_t seed);

/* Describes the content of a sector in words. */
void pattern_describe(const void *data, uint64_t sector, uint32_t seed,
		      char *text, size_t size);

#endif /* PATTERN_H */
