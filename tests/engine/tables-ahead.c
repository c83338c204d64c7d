// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The tables of a large disk.  By default all of them have room in the cache,
 * up to those of 1 TiB.  While there is room that was never used, the second
 * look at a table brings all slices around, with one read; when there is none,
 * they stay away, and nothing is dropped for them.  The first look brings one
 * slice.
 */
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include "tests/lib/disk.h"
#include "tests/lib/helpers.h"
#include "qcow/image.h"

#define CLUSTER 65536u
#define SLICE	(32u << 20)  /* bytes of the disk */
#define TABLE	(512u << 20) /* likewise: 16 slices */
#define TABLES	8u	     /* more than 64 slices */

static struct {
	struct disk disk;
	struct qcow_file_ops ops;
	const struct qcow_file_ops *disk_ops;
	struct qcow_image *image;
	unsigned int reads;
	size_t bytes;
} test;

static int count_read(void *disk, void *buffer, uint64_t offset, size_t length)
{
	test.reads++;
	test.bytes += length;
	return test.disk_ops->read(disk, buffer, offset, length);
}

static void make(const char *size)
{
	char *path = scratch_path("image");

	must_run("qemu-img create -q -f qcow2 %s %s", path, size);
	/* A cluster in each table. */
	for (unsigned int i = 0; i < TABLES; i++)
		must_run("qemu-io -c 'write -q %uM 4k' %s", 512 * i, path);
	disk_load(&test.disk, path);
	test.disk_ops = test.disk.hooks.ops;
	test.ops = *test.disk_ops;
	test.ops.read = count_read;
	test.disk.hooks.ops = &test.ops;
	free(path);
}

static void open_image(size_t cache_size)
{
	const struct qcow_options options = {
		.cache = QCOW_CACHE_WRITEBACK,
		.cache_size = cache_size,
		.journal_dir = scratch(),
		.inline_checkpoint = true,
		.test = &test.disk.hooks,
	};
	struct qcow_error error = { "" };
	char *path = scratch_path("image");

	if (qcow_open(path, &options, &test.image, &error))
		die("%s", error.text);
	free(path);
}

static void close_image(void)
{
	if (qcow_close(test.image))
		die("close");
}

static void expect_cache(const char *size, size_t mib)
{
	make(size);
	open_image(0);
	if ((size_t)test.image->cache.count * test.image->cache.slice_size !=
	    mib << 20)
		die("%s: the cache has %u slices", size,
		    test.image->cache.count);
	close_image();
	disk_free(&test.disk);
}

/* The reads of tables when a table's range is read all over, but for the
   cluster that has data. */
static unsigned int reads_of_table(unsigned int table)
{
	char bytes[512];

	test.reads = 0;
	test.bytes = 0;
	for (uint64_t at = CLUSTER; at < TABLE; at += SLICE)
		if (qcow_read(test.image, bytes, table * (uint64_t)TABLE + at,
			      sizeof(bytes)))
			die("read");
	return test.reads;
}

/* The next slot is empty, and those behind it are not. */
static void test_one_slot(void)
{
	struct cache *cache = &test.image->cache;
	uint64_t misses;
	char bytes[512];

	/* The first of its table. */
	if (qcow_read(test.image, bytes, SLICE + CLUSTER, sizeof(bytes)))
		die("read");
	if (cache->hand + 16 > cache->count)
		die("the hand is at the end");
	{
		LOCKED(test.image);
		cache_forget(test.image, cache->slices[cache->hand].offset,
			     cache->slice_size);
	}
	misses = cache->misses;
	if (qcow_read(test.image, bytes, CLUSTER, sizeof(bytes)))
		die("read");
	if (cache->misses != misses + 1)
		die("slices are dropped for the neighbours of one");
}

static void test_around(void)
{
	make("4G");
	open_image(1); /* 64 slices */
	for (unsigned int i = 0; i < 4; i++)
		if (reads_of_table(i) != 2 || test.bytes != CLUSTER)
			die("table %u: %u reads", i, test.reads);
	if (reads_of_table(3))
		die("a table that was read is read again");
	for (unsigned int i = 4; i < TABLES; i++)
		if (reads_of_table(i) != 16)
			die("a full cache: table %u: %u reads", i, test.reads);
	test_one_slot();
	close_image();
	disk_free(&test.disk);
}

int main(void)
{
	expect_cache("4G", 4);
	expect_cache("48G", 8);
	expect_cache("1T", 128);
	expect_cache("16T", 128);
	test_around();
	return 0;
}
