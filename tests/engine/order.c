// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The order in which the engine writes and syncs.  Here the order alone is the
 * promise: a test that only looks at the image afterwards sees nothing.
 *
 *	the mark is on the disk before the first change (R12), and goes after
 *	a sync of all data, and is synced itself (R13)
 *	counts are durable before entries, entries before holes are punched
 *	(R5, R6, R7)
 *	a FLUSH makes a sync even if no table is dirty (R8)
 *	old bytes in the new part of a device that grew are not shown (R1)
 *	a slice stays in the cache while it is written, and not after a
 *	failure (R17)
 *	a moved refcount table is durable before the header names it; if the
 *	header cannot be written, a checkpoint writes it again (R10)
 *	a FLUSH waits for a checkpoint that freezes after it (R8)
 *	a first write takes out the autoclear bits that nobody knows (P5)
 */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "tests/engine/order.h"
#include "tests/lib/helpers.h"
#include "tests/lib/judge.h"
#include "tests/lib/model.h"
#include "qcow/image.h"

#define SMALL	   512u
#define TIME_LIMIT 60	 /* seconds; a test that hangs is killed */
#define PATIENCE   1000u /* milliseconds */
#define OFFSETS	   0x00fffffffffffe00ull

/* ---- a checkpoint ---- */

/* Finds the only L2 table, in the file. */
static void find_table(void)
{
	uint64_t l1 = load_be64(test.disk.bytes + HEADER_L1_OFFSET);

	test.table = load_be64(test.disk.bytes + l1) & OFFSETS;
}

/* The offset of the first refcount block, which is the only one. */
static uint64_t find_block(void)
{
	uint64_t table = load_be64(test.disk.bytes +
				   HEADER_REFCOUNT_TABLE_OFFSET);

	return load_be64(test.disk.bytes + table);
}

static void test_phases(void)
{
	const struct step *count, *entry;

	load("the phases of a checkpoint", "cluster_size=64k");
	open_it(false);
	put(0, CLUSTER);
	flush();
	find_table();
	disk_record(&test.disk, NULL);
	put(CLUSTER, CLUSTER);
	flush();
	entry = last_write(end_step(), test.table);
	count = last_write(end_step(), find_block());
	if (count > entry || !find_sync(count, entry))
		die("%s: the entry is written before the count is durable (R5)",
		    test.what);
	if (!find_sync(entry, end_step()))
		die("%s: the entry is not synced (R6)", test.what);
	end();
}

static unsigned int count_syncs(void)
{
	unsigned int count = 0;

	for (const struct step *step = first_step(); step < end_step(); step++)
		count += step->kind == STEP_SYNC;
	return count;
}

/* Is there a sync between the last write to one offset, and the next, to
   another? */
static bool is_durable_before(uint64_t offset, uint64_t next)
{
	const struct step *later = last_write(end_step(), next);

	return find_sync(last_write(later, offset), later);
}

static void test_unlinked(void)
{
	load("a flush after a discard", "cluster_size=64k");
	open_it(false);
	put(0, CLUSTER);
	put(CLUSTER, CLUSTER);
	flush();
	find_table();
	disk_record(&test.disk, NULL);
	put(CLUSTER, CLUSTER);
	must(qcow_discard(test.image, 0, CLUSTER), "discard");
	flush();
	if (!find_sync(last_write(end_step(), test.table), end_step()))
		die("%s: the entry is not synced (R6)", test.what);
	if (count_syncs() != 1)
		die("%s: %u syncs", test.what, count_syncs());
	end();
}

static void test_subcluster(void)
{
	uint64_t data;

	load("one more subcluster", "cluster_size=64k,extended_l2=on");
	open_it(false);
	put(0, 2048);
	flush();
	find_table();
	data = load_be64(test.disk.bytes + test.table) & OFFSETS;
	disk_record(&test.disk, NULL);
	put(2048, 2048);
	flush();
	if (!is_durable_before(data + 2048, test.table))
		die("%s: its entry is written before its bytes are durable (R5)",
		    test.what);
	end();
}

/* The new table is all that the L1 entry refers to. */
static void test_new_table(void)
{
	const uint64_t second = SMALL / 8 * SMALL; /* where it begins */
	uint64_t l1;

	load("a new table of nothing", "cluster_size=512");
	open_it(false);
	l1 = load_be64(test.disk.bytes + HEADER_L1_OFFSET);
	put(0, SMALL);
	flush();
	disk_record(&test.disk, NULL);
	put(second, SMALL);
	must(qcow_discard(test.image, second, SMALL), "discard");
	flush();
	if (!is_durable_before(find_block(), l1 + 8))
		die("%s: the entry is written before the count is durable (R5)",
		    test.what);
	end();
}

static void test_clean_flush(void)
{
	load("a flush after a write in place", "cluster_size=64k");
	open_it(false);
	put(0, CLUSTER);
	flush();
	disk_record(&test.disk, NULL);
	put(0, CLUSTER);
	flush();
	if (!find_sync(first_step(), end_step()))
		die("%s: it makes no sync (R8)", test.what);
	end();
}

static void test_holes(void)
{
	const struct step *step, *entry;

	load("a hole", "cluster_size=64k");
	open_it(false);
	put(0, CLUSTER);
	flush();
	find_table();
	disk_record(&test.disk, NULL);
	must(qcow_discard(test.image, 0, CLUSTER), "discard");
	flush();
	for (step = first_step(); step < end_step(); step++)
		if (step->kind == STEP_PUNCH)
			break;
	if (step == end_step())
		die("%s: none was punched", test.what);
	entry = last_write(step, test.table);
	if (!find_sync(entry, step))
		die("%s: it was punched before the entry was durable (R7)",
		    test.what);
	for (step = first_step(); step < entry; step++)
		if (is_write(step, find_block()))
			die("%s: the count is lowered before the entry is written (R7)",
			    test.what);
	end();
}

static struct slice *find_slice(void)
{
	return cache_find(&test.image->cache, test.type, test.table);
}

static int fail_table(struct disk *disk, uint64_t offset)
{
	struct slice *slice;

	(void)disk;
	if (offset != test.table || test.met)
		return 0;
	test.met = true;
	LOCKED(test.image);
	slice = find_slice();
	if (!slice || !slice->pins)
		die("%s: it is not pinned", test.what);
	return -EIO;
}

static void test_slice(const char *what, enum slice_type type)
{
	load(what, "cluster_size=64k");
	open_it(false);
	put(0, CLUSTER);
	flush();
	find_table();
	if (type == SLICE_REFCOUNT)
		test.table = find_block();
	test.type = type;
	test.disk.on_write = fail_table;
	put(CLUSTER, CLUSTER);
	if (qcow_flush(test.image) != -EIO || !test.met)
		die("%s: the flush does not fail", test.what);
	{
		LOCKED(test.image);
		if (find_slice())
			die("%s: a slice that the file may not have stays (R17)",
			    test.what);
	}
	flush();
	if (!find_slice() || find_slice()->pins)
		die("%s: it is pinned for ever", test.what);
	end();
}

/* ---- a device that grew ---- */

/* Places above the high-water mark were never used, but need not be zero
   (R1). */
static void test_grown_device(void)
{
	static const uint8_t zeroes[CLUSTER - SMALL];
	static uint8_t read[CLUSTER];

	load("a device that grew", "cluster_size=64k");
	disk_make_device(&test.disk, 0);
	open_it(false);
	if (qcow_write(test.image, test.bytes, 0, SMALL) != -ENOSPC)
		die("%s: it was not full before", test.what);
	disk_grow(&test.disk, 16 * CLUSTER);
	put(0, SMALL);
	must(qcow_read(test.image, read, 0, sizeof(read)), "read");
	if (memcmp(read, test.bytes, SMALL) ||
	    memcmp(read + SMALL, zeroes, sizeof(zeroes)))
		die("%s: old bytes show around a write", test.what);
	end();
}

/* ---- a moved refcount table ---- */

static int fail_header(struct disk *disk, uint64_t offset)
{
	(void)disk;
	LOCKED(test.image);
	if (offset || test.met || !test.image->allocator.table_moved)
		return 0;
	test.met = true;
	return -EIO;
}

static void test_moved_table(void)
{
	int ret = 0;

	load("a moved refcount table", "cluster_size=512,refcount_bits=64");
	open_it(false);
	test.disk.on_write = fail_header;
	for (uint64_t at = 0; !ret && at < (4u << 20); at += 8 * SMALL)
		ret = qcow_write(test.image, test.bytes, at, 8 * SMALL);
	if (!test.met || ret != -EIO)
		die("%s: the table was not moved", test.what);
	flush();
	if (load_be64(test.disk.bytes + HEADER_REFCOUNT_TABLE_OFFSET) !=
	    test.image->header.refcount_table_offset)
		die("%s: the checkpoint forgets it (R10)", test.what);
	end();
}

static void test_move(void)
{
	const struct step *header, *table;
	uint64_t old, new;

	load("the move of a refcount table",
	     "cluster_size=512,refcount_bits=64");
	old = load_be64(test.disk.bytes + HEADER_REFCOUNT_TABLE_OFFSET);
	open_it(false);
	disk_record(&test.disk, NULL);
	for (uint64_t at = 0; at < (4u << 20); at += 8 * SMALL) {
		put(at, 8 * SMALL);
		new = load_be64(test.disk.bytes + HEADER_REFCOUNT_TABLE_OFFSET);
		if (new != old)
			break;
	}
	header = last_write(end_step(), 0);
	table = last_write(header, new);
	if (new == old || !find_sync(table, header))
		die("%s: the header names it before it is durable (R10)",
		    test.what);
	end();
}

/* ---- the L1 table ---- */

/* The L1 table is written in slices; its last entry lies in the second
   slice. */
static void test_last_entry(void)
{
	const uint64_t last = (4u << 20) - SMALL;
	uint8_t read[SMALL];

	load("the end of the L1 table", "cluster_size=512");
	open_it(false);
	put(last, SMALL);
	flush();
	if (!judge_read(test.disk.bytes, test.disk.size, last / SMALL, read) ||
	    memcmp(read, test.bytes, SMALL))
		die("%s: its last cluster is not in the image", test.what);
	end();
}

/* ---- a flush beside a checkpoint ---- */

static pthread_t late;

static bool is_dirty(void)
{
	LOCKED(test.image);
	return test.image->dirty.active.used || test.image->dirty.freezing;
}

static void *flush_late(void *unused)
{
	(void)unused;
	flush();
	if (is_dirty())
		die("%s: it shares one that froze before (R8)", test.what);
	return NULL;
}

static bool has_arrived(void)
{
	const struct checkpoint *checkpoint = &test.image->checkpoint;

	LOCKED(test.image);
	return checkpoint->wanted > checkpoint->freezes;
}

/* The checkpoint has frozen.  Now a write is acknowledged, and then a flush
   arrives.  A flush that asks for too little never seems to arrive. */
static void come_late(struct disk *disk)
{
	(void)disk;
	{
		LOCKED(test.image);
		if (test.met || !test.image->dirty.freezing)
			return;
	}
	test.met = true;
	put(CLUSTER, CLUSTER);
	if (pthread_create(&late, NULL, flush_late, NULL))
		die("cannot start a thread");
	for (unsigned int i = 0; i < PATIENCE && !has_arrived(); i++)
		usleep(1000);
}

static void test_late_flush(void)
{
	load("a late flush", "cluster_size=64k");
	open_it(true);
	test.disk.on_sync = come_late;
	/* The checkpoint thread may make a checkpoint of its own in between. */
	for (uint64_t at = 2 * CLUSTER; !test.met; at += CLUSTER) {
		put(at, CLUSTER);
		flush();
	}
	pthread_join(late, NULL);
	test.disk.on_sync = NULL;
	end();
}

int main(void)
{
	alarm(TIME_LIMIT);
	memset(test.bytes, 7, sizeof(test.bytes));
	test_mark();
	test_phases();
	test_unlinked();
	test_subcluster();
	test_new_table();
	test_clean_flush();
	test_holes();
	test_slice("entries that are written", SLICE_L2);
	test_slice("counts that are written", SLICE_REFCOUNT);
	test_grown_device();
	test_moved_table();
	test_move();
	test_last_entry();
	test_late_flush();
	return 0;
}
