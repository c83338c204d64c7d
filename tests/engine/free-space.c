// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Free clusters are found without a look at full parts.
 *
 * After an open, a thread looks at all counts: once, each refcount block with
 * one read, and not through the cache.  A cluster that becomes free while its
 * block is being read is not lost.
 *
 * In a full image, a search that begins low goes through all counts once.
 * Clusters that are freed low and taken again, over and over, do not make it
 * begin anew.
 */
#include "tests/engine/free-space.h"
#include "tests/lib/helpers.h"

#define CYCLES 10u
#define FEW    8u /* slices */

static void test_sweep(void)
{
	uint64_t misses, blocks = 0;
	unsigned int reads;

	make("", 4096, 64u << 10);
	open_image(true);
	await_sweep();
	for (uint32_t i = 0; i < test.image->allocator.refcount_table_size; i++)
		blocks += !!test.image->allocator.refcount_table[i];
	close_image();
	if (blocks < 8)
		die("there are few blocks");
	make("", 4096, 64u << 10);
	test.reads = 0;
	open_image(true);
	reads = test.reads;
	misses = test.image->cache.misses;
	await_sweep();
	reads = test.reads - reads;
	if (reads > blocks || test.image->cache.misses != misses)
		die("%u reads for %lu blocks", reads, blocks);
	close_image();
}

/* Of a block, one half is full. */
static void test_half(void)
{
	uint64_t host;

	make("", 8192, 64u << 10);
	open_image(false);
	host = host_of(7000);
	if (host < 6144 || host >= 8192)
		die("the image is not as expected");
	free_guest(7000);
	must(qcow_close(test.image), "close");
	open_image(true);
	await_sweep();
	if (stretches_skip(&test.image->allocator.stretches, 4096) != 6144)
		die("the sweep does not know what is full");
	close_image();
}

/* The next guest clusters without a host cluster get this one, too. */
static void must_find(uint64_t guest, uint64_t host, const char *what)
{
	uint64_t mark = test.image->allocator.high_water;

	do
		write_guest(guest);
	while (host_of(guest++) != host &&
	       test.image->allocator.high_water == mark);
	if (test.image->allocator.high_water != mark)
		die("a cluster %s is lost", what);
}

/* The counts that the sweep has read say that one cluster is in use, and that
   another one in front of it is free. */
static void test_freed_meanwhile(void)
{
	uint64_t host, other, guest;

	make("", 4096, 64u << 10);
	open_image(false);
	/* The resize has left some. */
	guest = fill_holes((64u << 20) / test.cluster);
	test.guest = 5000;
	host = host_of(test.guest);
	other = host_of(4990);
	test.freed_at =
		test.image->allocator
			.refcount_table[host >>
					test.image->geometry.block_bits];
	free_guest(4990);
	must(qcow_close(test.image), "close");
	open_image(true);
	await_sweep();
	if (test.freed_at)
		die("the sweep has not read the block");
	must_find(guest, other, "that was free before the sweep");
	must_find(guest + 1, host, "that became free during the sweep");
	close_image();
}

static unsigned int reads_of_cycle(unsigned int n, uint64_t fresh)
{
	unsigned int before = test.reads;

	free_guest(n);
	write_guest(n);
	write_guest(fresh);
	must(qcow_flush(test.image), "flush");
	return test.reads - before;
}

static void test_search(const char *options, uint32_t cluster, unsigned int kib)
{
	unsigned int before, all;
	uint64_t fresh;

	make(options, cluster, kib);
	open_image(false);
	before = test.reads;
	fresh = fill_holes((kib << 10) / cluster);
	all = test.reads - before;
	for (unsigned int n = 0; n < CYCLES; n++) {
		unsigned int reads = reads_of_cycle(n, fresh + n);

		if (all < 10 * FEW || reads > FEW)
			die("%s: a search in a full image reads %u slices, and again %u",
			    options, all, reads);
	}
	close_image();
}

int main(void)
{
	free_space_begin();
	test_sweep();
	test_half();
	test_freed_meanwhile();
	test_hole();
	test_search("", 512, 32u << 10);
	test_search(",refcount_bits=64", 512, 8u << 10);
	test_search(",refcount_bits=8", 512, 32u << 10);
	return 0;
}
