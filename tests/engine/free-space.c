// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Free clusters are found without a look at what is full.
 *
 * After an open, a thread looks at all counts: once, each refcount block with
 * one read, and not through the cache.  A cluster that becomes free while its
 * block is being read is not lost.
 *
 * In a full image, a search that begins low goes through all counts once.
 * Clusters that are freed low and taken again, over and over, do not make it
 * begin anew.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "tests/lib/disk.h"
#include "tests/lib/helpers.h"
#include "qcow/image.h"

#define PATIENCE 60u /* seconds */
#define CYCLES	 10u
#define FEW	 8u /* slices */

static struct {
	struct disk disk;
	struct qcow_file_ops ops;
	const struct qcow_file_ops *disk_ops;
	struct qcow_image *image;
	uint32_t cluster;
	pthread_t main;
	atomic_uint reads;
	atomic_bool opened;
	uint64_t freed_at; /* by a read of this offset; 0: by none */
	uint64_t guest;	   /* this one */
} test;

static void must(int ret, const char *what)
{
	if (ret)
		die("%s: %d", what, ret);
}

static void free_guest(uint64_t guest)
{
	must(qcow_discard(test.image, guest * test.cluster, test.cluster),
	     "discard");
	must(qcow_flush(test.image), "flush");
}

static void write_guest(uint64_t guest)
{
	static const char bytes[65536];

	must(qcow_write(test.image, bytes, guest * test.cluster, test.cluster),
	     "write");
}

/* What the caller gets is older than what happens meanwhile. */
static int late_read(void *disk, void *buffer, uint64_t offset, size_t length)
{
	int ret = test.disk_ops->read(disk, buffer, offset, length);

	test.reads++;
	if (offset && offset == test.freed_at &&
	    !pthread_equal(pthread_self(), test.main)) {
		test.freed_at = 0;
		while (!test.opened)
			usleep(1000);
		free_guest(test.guest);
	}
	return ret;
}

/* All of the disk but its last 64 KiB has clusters. */
static void make(const char *options, uint32_t cluster, unsigned int kib)
{
	char *path = scratch_path("image");

	test.cluster = cluster;
	must_run(
		"qemu-img create -q -f qcow2 -o preallocation=metadata,cluster_size=%u%s %s %uK",
		cluster, options, path, kib);
	must_run("qemu-img resize -q %s +64K", path);
	disk_load(&test.disk, path);
	test.disk_ops = test.disk.hooks.ops;
	test.ops = *test.disk_ops;
	test.ops.read = late_read;
	test.disk.hooks.ops = &test.ops;
	free(path);
}

static void open_image(bool threads)
{
	const struct qcow_options options = {
		.cache = QCOW_CACHE_WRITEBACK,
		.cache_size = 1,
		.journal_dir = scratch(),
		.inline_checkpoint = !threads,
		.test = &test.disk.hooks,
	};
	struct qcow_error error = { "" };
	char *path = scratch_path("image");

	test.opened = false;
	if (qcow_open(path, &options, &test.image, &error))
		die("%s", error.text);
	test.opened = true;
	free(path);
}

static uint64_t host_of(uint64_t guest)
{
	struct qcow_io io;
	char byte[512];
	uint64_t host;

	must(qcow_read(test.image, byte, guest * test.cluster, 512), "read");
	must(qcow_map_read(test.image, &io, guest * test.cluster, 512), "map");
	host = io.extents[0].offset / test.cluster;
	must(qcow_finish(test.image, &io, 0), "finish");
	return host;
}

static bool is_swept(void)
{
	LOCKED(test.image);
	return test.image->allocator.sweep.over;
}

static void await_sweep(void)
{
	for (unsigned int n = 0; !is_swept(); n++) {
		if (n == PATIENCE * 1000)
			die("the sweep does not end");
		usleep(1000);
	}
}

static void close_image(void)
{
	must(qcow_close(test.image), "close");
	disk_free(&test.disk);
}

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

/* Returns the next guest cluster without a host cluster. */
static uint64_t fill_holes(uint64_t guest)
{
	uint64_t mark = test.image->allocator.high_water;

	while (test.image->allocator.high_water == mark)
		write_guest(guest++);
	return guest;
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
	test.main = pthread_self();
	test_sweep();
	test_half();
	test_freed_meanwhile();
	test_search("", 512, 32u << 10);
	test_search(",refcount_bits=64", 512, 8u << 10);
	test_search(",refcount_bits=8", 512, 32u << 10);
	return 0;
}
