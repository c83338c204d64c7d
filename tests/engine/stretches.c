// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What is known of the stretches of a file is true, whatever happens to its
 * clusters, also when the file outgrows the stretches: a search skips no free
 * cluster, and no cluster is taken to read as zero that may not.  And it is
 * known: a search that has passed all clusters passes them at once afterwards,
 * and clusters that were punched together read as zero.
 */
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include "tests/lib/helpers.h"
#include "qcow/bits.h"
#include "qcow/stretches.h"

#define CLUSTERS (5 * STRETCHES_MAX / 2) /* they outgrow them twice */
#define STEPS	 4000u
#define LONGEST	 700u

static struct stretches known;
static bool is_free[CLUSTERS], is_zero[CLUSTERS];
static struct random random_numbers = { 1 };

static void search(uint64_t from, uint64_t most)
{
	uint64_t first = min_u64(stretches_skip(&known, from), CLUSTERS);
	uint64_t at = first, end = min_u64(first + most, CLUSTERS);

	for (uint64_t i = from; i < first; i++)
		if (is_free[i])
			die("the free cluster %lu is skipped", i);
	while (at < end && !is_free[at])
		at++;
	if (first < at)
		stretches_pass(&known, first, at);
}

static void take(uint64_t at)
{
	if (!is_free[at])
		return;
	if (stretches_read_zero(&known, at) && !is_zero[at])
		die("cluster %lu has bytes and is taken for a hole", at);
	is_free[at] = is_zero[at] = false;
	stretches_pass(&known, at, at + 1);
}

static void set_free(uint64_t first, uint64_t count, bool zero)
{
	for (uint64_t i = first; i < first + count; i++) {
		is_free[i] = true;
		is_zero[i] = zero;
	}
	if (zero)
		stretches_punch(&known, first, count);
	else
		stretches_soil(&known, first, count);
	stretches_gain(&known, first, count);
}

/* Something becomes free just before the place where the search goes on. */
static void free_behind(uint64_t most)
{
	uint64_t at = known.end;

	if (at < 8 || at >= CLUSTERS)
		return;
	set_free(at - 1 - random_below(&random_numbers, 8), 1, false);
	search(at, most);
}

/* The file grows meanwhile. */
static void one_step(unsigned int n)
{
	uint64_t most = (CLUSTERS - LONGEST) / 8 * (1 + 7 * n / STEPS);
	uint64_t at = random_below(&random_numbers, most);
	uint64_t count = 1 + random_below(&random_numbers, LONGEST);

	switch (random_below(&random_numbers, 8)) {
	case 0:
		set_free(at, count, true);
		break;
	case 1:
		set_free(at, count % 8 + 1, false);
		break;
	case 2:
	case 3:
		search(at, 8 * count);
		break;
	case 4:
		free_behind(8 * count);
		break;
	default:
		for (uint64_t i = at; i < at + count; i++)
			take(i);
	}
}

static void test_true(unsigned int bits)
{
	memset(&known, 0, sizeof(known));
	memset(is_free, 0, sizeof(is_free));
	known.bits = bits;
	for (unsigned int n = 0; n < STEPS * effort(); n++)
		one_step(n / effort());
	if (known.bits != max_u64(bits, 2))
		die("the file has not outgrown the stretches");
	for (uint64_t i = 0; i < CLUSTERS; i++) {
		if (is_free[i] && stretches_skip(&known, i) != i)
			die("the free cluster %lu is skipped", i);
		take(i);
	}
}

/* One cluster after the other is passed or taken, and then all at once. */
static void test_known(void)
{
	memset(&known, 0, sizeof(known));
	known.bits = 4;
	for (uint64_t i = 0; i < CLUSTERS; i += 1 + i % 3)
		stretches_pass(&known, i, i + 1 + i % 3);
	if (stretches_skip(&known, 1) < CLUSTERS - 16)
		die("what was passed is not skipped");
	stretches_gain(&known, 5000, 1);
	if (stretches_skip(&known, 1) != 5000 / 16 * 16 ||
	    stretches_skip(&known, 5008) < CLUSTERS - 16)
		die("one free cluster does not end its stretch alone");
	stretches_pass(&known, 4992, 5008);
	if (stretches_skip(&known, 1) < CLUSTERS - 16)
		die("a stretch that is full again is not skipped");
	stretches_punch(&known, 20, 1000);
	if (!stretches_read_zero(&known, 32) || stretches_read_zero(&known, 20))
		die("holes are not known");
}

int main(void)
{
	test_true(0);
	test_true(5);
	test_known();
	printf("%u steps\n", STEPS * effort());
	return 0;
}
