// SPDX-License-Identifier: GPL-2.0-or-later
/* Sectors that tell their own number: see pattern.h. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "tests/load/pattern.h"

#define MAGIC 0x6b6c62752d646c6fULL
#define WORDS (SECTOR / sizeof(uint64_t))

static void make_sector(uint64_t *words, uint64_t sector, uint32_t generation,
			uint32_t seed)
{
	uint64_t x = sector * 0x9e3779b97f4a7c15ULL + generation +
		     ((uint64_t)seed << 32);
	unsigned int i;

	words[0] = MAGIC;
	words[1] = sector;
	words[2] = (uint64_t)seed << 32 | generation;
	for (i = 3; i < WORDS; i++) {
		x = x * 6364136223846793005ULL + 1442695040888963407ULL;
		words[i] = x;
	}
}

void pattern_fill(void *buffer, size_t length, uint64_t sector,
		  uint32_t generation, uint32_t seed)
{
	char *p = buffer;

	for (; length >= SECTOR; length -= SECTOR, p += SECTOR)
		make_sector((uint64_t *)(void *)p, sector++, generation, seed);
}

static bool all_zero(const void *data)
{
	static const char zeroes[SECTOR];

	return memcmp(data, zeroes, SECTOR) == 0;
}

bool pattern_matches(const void *data, uint64_t sector, struct content content,
		     uint32_t seed)
{
	uint64_t words[WORDS];

	if (content.zero || !content.generation)
		return all_zero(data);
	make_sector(words, sector, content.generation, seed);
	return memcmp(data, words, SECTOR) == 0;
}

void pattern_describe(const void *data, uint64_t sector, uint32_t seed,
		      char *text, size_t size)
{
	uint64_t words[WORDS], whole[WORDS];
	const char *intact;

	memcpy(words, data, SECTOR);
	if (all_zero(data)) {
		snprintf(text, size, "zeroes");
		return;
	}
	if (words[0] != MAGIC) {
		snprintf(text, size,
			 "something never written here, %016" PRIx64 " ...",
			 words[0]);
		return;
	}
	make_sector(whole, words[1], (uint32_t)words[2], words[2] >> 32);
	intact = memcmp(words, whole, SECTOR) ? ", damaged" : "";
	if (words[1] != sector)
		snprintf(text, size,
			 "sector %" PRIu64 ", generation %" PRIu32 "%s",
			 words[1], (uint32_t)words[2], intact);
	else if (words[2] >> 32 != seed)
		snprintf(text, size, "generation %" PRIu32 " of another run%s",
			 (uint32_t)words[2], intact);
	else
		snprintf(text, size, "generation %" PRIu32 "%s",
			 (uint32_t)words[2], intact);
}
