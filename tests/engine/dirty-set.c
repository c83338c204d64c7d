// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A dirty set of any size is sorted, by kinds and by indices.  The indices have
 * a few bits or all bits that there are.  The sorted assignments must be those
 * of the set, each value with its key.  A set that is full of keys in strides
 * must find them all, and no others.
 */
#include <stdlib.h>
#include "tests/lib/helpers.h"
#include "qcow/dirty.h"

#define LARGEST 5000u
#define ROUNDS	300u

static uint64_t state = 1;

static uint64_t random_number(void)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state;
}

static void fill(struct dirty_set *set, uint32_t count)
{
	unsigned int bits = 1 + random_number() % 59;

	for (uint32_t i = 0; i < count; i++) {
		uint64_t index = random_number() & ((1ull << bits) - 1);
		uint64_t key = dirty_key(KEY_L1 + random_number() % 3, index);

		dirty_put(set, key, ~key);
	}
}

static void check(const struct dirty_set *set, struct assignment *sorted)
{
	uint32_t count = dirty_sort(set, sorted);
	uint64_t value;

	if (count != set->used)
		die("%u of %u are sorted", count, set->used);
	for (uint32_t i = 0; i < count; i++) {
		if (i && sorted[i].key <= sorted[i - 1].key)
			die("of %u, number %u is out of order", count, i);
		if (!dirty_get(set, sorted[i].key, &value) ||
		    value != sorted[i].value)
			die("of %u, number %u is not the set's", count, i);
	}
}

static void fill_in_strides(struct dirty_set *set, unsigned int bits)
{
	for (uint64_t i = 0; i < LARGEST; i++)
		dirty_put(set, dirty_key(KEY_L2, i << bits), i);
}

static void check_strides(const struct dirty_set *set, unsigned int bits)
{
	uint64_t value;

	for (uint64_t i = 0; i < 2 * LARGEST; i++) {
		bool found = dirty_get(set, dirty_key(KEY_L2, i << bits),
				       &value);

		if (found != (i < LARGEST) || (found && value != i))
			die("number %u of a stride of 2^%u is wrong",
			    (unsigned int)i, bits);
	}
}

int main(void)
{
	struct assignment *sorted = calloc(2 * LARGEST, sizeof(*sorted));
	struct dirty_set set;

	if (!sorted || dirty_create(&set, LARGEST))
		die("no memory");
	for (unsigned int round = 0; round < ROUNDS; round++) {
		fill(&set, round < 100 ? round : random_number() % LARGEST);
		check(&set, sorted);
		dirty_clear(&set);
	}
	for (unsigned int bits = 0; bits < 45; bits++) {
		fill_in_strides(&set, bits);
		check_strides(&set, bits);
		check(&set, sorted);
		dirty_clear(&set);
	}
	dirty_destroy(&set);
	free(sorted);
	return 0;
}
