// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A slice of a table keeps its slot in the cache while it is read from the
 * file, and while it is written to it.
 *
 * In the midst of that I/O so many other tables are read that each slot is
 * given away which may be given.  Had that of the I/O been among them, entries
 * of one table would now be found in another, and the bytes of one cluster in
 * another.
 */
#include <stdlib.h>
#include <string.h>
#include "tests/lib/disk.h"
#include "tests/lib/helpers.h"
#include "qcow/image.h"

#define CLUSTER	   512u
#define PER_TABLE  (CLUSTER / 8)
#define TABLE_SPAN (PER_TABLE * CLUSTER)
#define TABLES	   160u /* more than twice the slots there are */
#define OFFSETS	   0x00fffffffffffe00ull
#define THE_TABLE  77u

static struct disk disk;
static struct qcow_image *image;
static uint64_t place; /* of the table with which it happens */
static bool met;

static void open_image(void)
{
	char *path = scratch_path("image");
	struct qcow_options options = {
		.cache = QCOW_CACHE_WRITEBACK,
		.cache_size = 1, /* as small as it gets */
		.journal_dir = scratch(),
		.inline_checkpoint = true,
		.test = &disk.hooks,
	};
	struct qcow_error error = { "" };

	must_run("qemu-img create -q -f qcow2 -o cluster_size=%u %s %u",
		 CLUSTER, path, TABLES * TABLE_SPAN);
	disk_load(&disk, path);
	if (qcow_open(path, &options, &image, &error))
		die("open: %s", error.text);
	if (2 * image->cache.count >= TABLES)
		die("the cache holds too much");
	free(path);
}

/* The first cluster of each table has the table's number in each byte. */
static void fill(unsigned int table, uint64_t cluster)
{
	uint8_t bytes[CLUSTER];

	memset(bytes, table + 1, sizeof(bytes));
	if (qcow_write(image, bytes, table * TABLE_SPAN + cluster * CLUSTER,
		       CLUSTER))
		die("a write fails");
}

static void expect(const char *when, unsigned int table, unsigned int cluster,
		   uint8_t byte)
{
	uint8_t bytes[CLUSTER];

	if (qcow_read(image, bytes, table * TABLE_SPAN + cluster * CLUSTER,
		      CLUSTER))
		die("%s: a read fails", when);
	for (unsigned int i = 0; i < CLUSTER; i++)
		if (bytes[i] != byte)
			die("%s: cluster %u of table %u holds %u, not %u", when,
			    cluster, table, bytes[i], byte);
}

static void expect_other(const char *when, unsigned int table)
{
	if (table == THE_TABLE)
		return;
	expect(when, table, 0, table + 1);
	expect(when, table, 1, 0);
}

static void expect_others(const char *when)
{
	for (unsigned int table = 0; table < TABLES; table++)
		expect_other(when, table);
}

static uint64_t place_of(unsigned int table)
{
	uint64_t l1 = load_be64(disk.bytes + HEADER_L1_OFFSET);

	return load_be64(disk.bytes + l1 + 8 * table) & OFFSETS;
}

/* Reads the cached tables only: other reads would change the cache. */
static void expect_cached(const char *when)
{
	bool cached[TABLES];

	{
		LOCKED(image);
		for (unsigned int table = 0; table < TABLES; table++)
			cached[table] = cache_find(&image->cache, SLICE_L2,
						   place_of(table));
	}
	for (unsigned int table = 0; table < TABLES; table++)
		if (cached[table])
			expect_other(when, table);
}

static int read_others(struct disk *unused, uint64_t offset)
{
	(void)unused;
	if (offset != place || met)
		return 0;
	met = true;
	expect_others("meanwhile");
	return 0;
}

static void flush(void)
{
	if (qcow_flush(image))
		die("a flush fails");
}

/* The second cluster of the table gets its entry. */
static void test_write(void)
{
	disk.on_write = read_others;
	fill(THE_TABLE, 1);
	flush();
	if (!met)
		die("the table is not written");
	disk.on_write = NULL;
	expect_cached("after a write");
	expect("after a write", THE_TABLE, 0, THE_TABLE + 1);
	expect("after a write", THE_TABLE, 1, THE_TABLE + 1);
}

static void test_read(void)
{
	/* Until nothing of the table is in the cache. */
	expect_others("before a read");
	met = false;
	disk.on_read = read_others;
	expect("during a read", THE_TABLE, 0, THE_TABLE + 1);
	if (!met)
		die("the table is not read");
	disk.on_read = NULL;
	expect_cached("after a read");
	expect("after a read", THE_TABLE, 1, THE_TABLE + 1);
}

int main(void)
{
	open_image();
	for (unsigned int table = 0; table < TABLES; table++)
		fill(table, 0);
	flush();
	place = place_of(THE_TABLE);
	test_write();
	test_read();
	if (qcow_close(image))
		die("the close fails");
	disk_free(&disk);
	return 0;
}
