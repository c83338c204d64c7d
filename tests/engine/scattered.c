// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Writes that touch many slices of the tables do not make a FLUSH long.
 *
 * A checkpoint reads and writes the slices in rows: a call for those that are
 * neighbours in the file, none for a slice that does not change, and no second
 * look at counts if none goes down.
 *
 * A disk whose changes are scattered is written in time, though there is room
 * for many more: a FLUSH meets a bounded number of slices.
 */
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "tests/lib/disk.h"
#include "tests/lib/helpers.h"
#include "tests/lib/judge.h"
#include "qcow/image.h"

#define CLUSTER 4096u
#define TABLE	(CLUSTER / 8 * CLUSTER) /* bytes of the disk: one slice */
#define TABLES	40u
#define MOST	1024u /* slices that a FLUSH may meet, of one checkpoint */
#define MANY	1300u
#define SMALL	512u		 /* clusters */
#define STEP	(512ull * SMALL) /* a page of entries */
#define POLLS	500u		 /* each a tenth of a second */

static struct {
	struct disk disk;
	struct qcow_file_ops ops;
	const struct qcow_file_ops *disk_ops;
	struct qcow_image *image;
	uint32_t cluster;
	atomic_uint reads, writes;
} test;

static int count_read(void *disk, void *buffer, uint64_t offset, size_t length)
{
	test.reads++;
	return test.disk_ops->read(disk, buffer, offset, length);
}

static int count_write(void *disk, const void *buffer, uint64_t offset,
		       size_t length)
{
	test.writes++;
	return test.disk_ops->write(disk, buffer, offset, length);
}

static void must(int ret, const char *what)
{
	if (ret)
		die("%s: %d", what, ret);
}

static void make(uint32_t cluster, uint64_t size)
{
	char *path = scratch_path("image");

	test.cluster = cluster;
	must_run("qemu-img create -q -f qcow2 -o cluster_size=%u %s %lu",
		 cluster, path, size);
	disk_load(&test.disk, path);
	test.disk_ops = test.disk.hooks.ops;
	test.ops = *test.disk_ops;
	test.ops.read = count_read;
	test.ops.write = count_write;
	test.disk.hooks.ops = &test.ops;
	free(path);
}

static void open_image(bool threads)
{
	const struct qcow_options options = {
		.cache = QCOW_CACHE_WRITEBACK,
		.cache_size = threads ? 16u << 20 : 1,
		.journal_dir = scratch(),
		.inline_checkpoint = !threads,
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
	must(qcow_close(test.image), "close");
	disk_free(&test.disk);
}

static void write_at(uint64_t offset)
{
	static const char bytes[16 * CLUSTER];

	must(qcow_write(test.image, bytes, offset, test.cluster), "write");
}

/* A write to each table: makes them, in a row in the file. */
static void write_tables(uint64_t offset)
{
	for (unsigned int i = 0; i < TABLES; i++)
		write_at(i * (uint64_t)TABLE + offset);
}

static void flush_in(unsigned int reads, unsigned int writes, const char *what)
{
	test.reads = test.writes = 0;
	must(qcow_flush(test.image), "flush");
	if (test.reads > reads || test.writes > writes)
		die("%s: a flush reads %u times and writes %u times, not %u and %u",
		    what, test.reads, test.writes, reads, writes);
}

static void test_rows(void)
{
	make(CLUSTER, (uint64_t)TABLES * TABLE);
	open_image(false);
	write_tables(0);
	must(qcow_flush(test.image), "flush");
	/* Their entries lie in slices that are far apart, behind one cluster
	   of data each; the counts in one; and the header's sector. */
	write_tables(CLUSTER);
	flush_in(0, TABLES + 2, "cached");
	must(qcow_close(test.image), "close");
	open_image(false);
	write_tables(2 * CLUSTER);
	flush_in(TABLES, TABLES + 2, "after an open");
	/* An entry, the count that goes down, the header's sector. */
	must(qcow_discard(test.image, 0, CLUSTER), "discard");
	flush_in(2, 3, "a discard");
	close_image();
}

/* Tables that lie side by side in the file. */
static void test_neighbours(void)
{
	make(16 * CLUSTER, 512u << 20);
	open_image(false);
	for (uint64_t at = 0; at < 512u << 20; at += 16u << 20)
		write_at(at);
	/* One table of 16 slices, the counts, the L1 table, the header. */
	flush_in(16, 4, "neighbours");
	close_image();
}

static uint64_t checkpoints(void)
{
	struct qcow_stats stats;

	qcow_get_stats(test.image, &stats);
	return stats.checkpoints;
}

static void test_in_time(void)
{
	make(SMALL, MANY * STEP);
	open_image(true);
	for (uint64_t i = 0; i < MANY; i++) {
		write_at(i * STEP);
		if (i <= MOST)
			continue;
		/* Writes to a slice that is dirty already: it is not idle. */
		for (unsigned int n = 1; !checkpoints(); n++) {
			if (n == POLLS)
				die("scattered changes are not written in time");
			usleep(100000);
			write_at(i * STEP + n * SMALL);
		}
	}
	flush_in(2 * MOST, 2 * MOST, "many");
	close_image();
}

int main(void)
{
	test_rows();
	test_neighbours();
	test_in_time();
	return 0;
}
