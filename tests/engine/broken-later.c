// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Faults that the engine meets while the image is in use.  The guest gets an
 * error, never bytes of something else, and qemu-img check agrees.  A read
 * changes nothing.  A write marks the image as corrupt, and changes nothing
 * else.  The entries in the tables of snapshots and bitmaps do not matter, but
 * these tables are not written over.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "tests/engine/broken.h"
#include "tests/lib/helpers.h"

#define ENTRY(value) \
	{ \
		{ \
			L2, 8, value \
		} \
	}

static const struct later laters[] = {
	{ "data unaligned", PLAIN, .pokes = ENTRY((DATA + 512) | COPIED) },
	{ "data unaligned, version 2", OLD,
	  .pokes = ENTRY((DATA + 512) | COPIED) },
	{ "data in the header", PLAIN, .pokes = ENTRY(512 | COPIED) },
	{ "data in the L1 table", PLAIN, .pokes = ENTRY(L1 | COPIED) },
	{ "data in the refcount table", PLAIN, .pokes = ENTRY(TABLE | COPIED) },
	{ "data in a refcount block", PLAIN, .pokes = ENTRY(BLOCK | COPIED) },
	{ "data in an L2 table", PLAIN, .pokes = ENTRY(L2 | COPIED) },
	{ "data in the snapshot table", SNAPSHOT,
	  .pokes = ENTRY(SNAPSHOTS | COPIED) },
	{ "data in a snapshot's L1 table", SNAPSHOT,
	  .pokes = ENTRY(SNAPSHOT_L1 | COPIED) },
	{ "data in the bitmap directory", BITMAP,
	  .pokes = ENTRY(BITMAPS | COPIED) },
	{ "data in a bitmap's table", BITMAP,
	  .pokes = ENTRY(BITMAP_TABLE | COPIED) },
	{ "zero cluster in the bitmap directory", BITMAP,
	  .pokes = ENTRY(BITMAPS | COPIED | 1) },
	{ "zero cluster in the snapshot table", SNAPSHOT,
	  .pokes = ENTRY(SNAPSHOTS | COPIED | 1) },
	{ "zero cluster in a refcount block", PLAIN,
	  .pokes = ENTRY(BLOCK | COPIED | 1) },
	{ "data, reserved bit 1", PLAIN, .pokes = ENTRY(DATA | COPIED | 2) },
	{ "data, reserved bit 61", PLAIN, .pokes = ENTRY(DATA | 1ull << 61) },
	{ "data, reserved bit 56", PLAIN, .pokes = ENTRY(DATA | 1ull << 56) },
	{ "zero flag in version 2", OLD, .pokes = ENTRY(DATA | COPIED | 1),
	  .qemu_content = true },
	{ "zero cluster in the header", PLAIN,
	  .pokes = ENTRY(512 | COPIED | 1) },
	{ "refcount 0, not COPIED", PLAIN,
	  .pokes = { { L2, 8, DATA }, { BLOCK + 10, 2, 0 } }, .readable = true,
	  .reused = true },
	{ "L2 table of refcount 0, not COPIED", PLAIN,
	  .pokes = { { L1, 8, L2 }, { L2, 8, DATA }, { BLOCK + 8, 2, 0 } },
	  .readable = true },
};

struct qcow_image *must_open(const char *name, const char *path, bool read_only)
{
	struct qcow_image *image;
	struct qcow_error error;

	if (open_broken(path, read_only, &image, &error))
		die("%s: does not open: %s", name, error.text);
	return image;
}

void expect_bytes(const char *name, struct qcow_image *image, uint64_t offset,
		  int byte)
{
	uint8_t bytes[CLUSTER];

	if (qcow_read(image, bytes, offset, CLUSTER))
		die("%s: cannot read at %lu", name, offset);
	for (unsigned int i = 0; i < CLUSTER; i++)
		if (bytes[i] != byte)
			die("%s: byte %#x at %lu", name, bytes[i], offset + i);
	checks++;
}

void expect_read(const struct later *row, struct qcow_image *image)
{
	uint8_t bytes[512];
	int ret;

	if (row->readable) {
		expect_bytes(row->name, image, 0, 0x11);
		return;
	}
	ret = qcow_read(image, bytes, 512, 512);
	if (ret != -EIO)
		die("%s: read: %d", row->name, ret);
	checks++;
}

/* Only the corrupt bit may differ; version 2 has no such bit. */
void expect_marked(const char *name, const char *path, struct bytes_of before)
{
	uint8_t *bits = before.bytes + HEADER_INCOMPATIBLE;
	const char *says = "it cannot be marked as corrupt";

	if (broken_load(before.bytes + HEADER_VERSION, 4) >= 3) {
		broken_store(bits, 8,
			     broken_load(bits, 8) | INCOMPATIBLE_CORRUPT);
		says = "it is marked as corrupt";
	}
	if (!strstr(broken_notice, says))
		die("%s: the user is told \"%s\", not \"%s\"", name,
		    broken_notice, says);
	expect_unchanged(name, path, before);
	expect_no_journal(name);
}

void expect_no_write(const char *name, struct qcow_image *image,
		     uint64_t offset, uint64_t length)
{
	uint8_t bytes[CLUSTER] = { 0 };
	int ret = qcow_write(image, bytes, offset, length);

	if (ret != -EIO)
		die("%s: write: %d", name, ret);
	checks++;
}

/* Meets the broken cluster: reads, writes or discards it. */
void approach(const struct later *row, struct qcow_image *image,
	      enum approach how)
{
	int ret = -EIO;

	if (how == WRITE || how == WRITE_ALL)
		expect_no_write(row->name, image, 0,
				how == WRITE ? 512 : CLUSTER);
	else if (how == DISCARD)
		ret = qcow_discard(image, 0, CLUSTER);
	else
		expect_read(row, image);
	if (ret != -EIO)
		die("%s: discard: %d", row->name, ret);
}

/* After that, no write succeeds, but the other clusters can be read. */
static void expect_stopped(const char *name, struct qcow_image *image)
{
	expect_no_write(name, image, CLUSTER, CLUSTER);
	expect_no_write(name, image, DISK_SIZE - CLUSTER, CLUSTER);
	expect_bytes(name, image, CLUSTER, 0x22);
}

void expect_qemu_agrees(const char *name, const char *path)
{
	int status = run("qemu-img check %s >/dev/null 2>&1", path);

	if (status != 2)
		die("%s: qemu-img check: %d", name, status);
	checks++;
}

static void take_data(const char *path, struct bytes_of into)
{
	struct bytes_of from = bytes_of(path);

	memcpy(into.bytes + DATA, from.bytes + DATA, CLUSTER);
	free(from.bytes);
}

/* A bitmap may be marked as in use, as before any write. */
static void take_in_use(const char *path, struct bytes_of into)
{
	const uint64_t flags = BITMAPS + BITMAP_FLAGS;
	struct bytes_of from = bytes_of(path);

	broken_store(into.bytes + flags, 4,
		     broken_load(into.bytes + flags, 4) |
			     (broken_load(from.bytes + flags, 4) & 1));
	free(from.bytes);
}

static void test_later(const struct later *row, enum approach how)
{
	char *path = scratch_path("image");
	struct bytes_of before;
	struct qcow_image *image;

	make_broken(path, row->base, row->pokes);
	before = bytes_of(path);
	image = must_open(row->name, path, how == READ_ONLY);
	expect_bytes(row->name, image, CLUSTER, 0x22);
	approach(row, image, how);
	if (how == READ_ONLY || how == READ) {
		expect_bytes(row->name, image, CLUSTER, 0x22);
		qcow_close(image);
		expect_unchanged(row->name, path, before);
	} else {
		expect_stopped(row->name, image);
		qcow_close(image);
		if (row->reused)
			take_data(path, before);
		if (row->base == BITMAP)
			take_in_use(path, before);
		expect_marked(row->name, path, before);
		if (row->base != OLD)
			expect_refused(row->name, path, false,
				       "marked as corrupt");
	}
	if (!row->qemu_content)
		expect_qemu_agrees(row->name, path);
	free(before.bytes);
	free(path);
}

/* The block that counts the header is missing.  A new block in its usual place
   would overwrite the header. */
static void test_missing_block(void)
{
	static const struct poke pokes[MAX_POKES] = { { TABLE, 8, 0 } };
	const char *name = "first refcount block missing";
	char *path = scratch_path("image");
	struct bytes_of before;
	struct qcow_image *image;

	make_broken(path, PLAIN, pokes);
	before = bytes_of(path);
	image = must_open(name, path, false);
	expect_bytes(name, image, 0, 0x11);
	expect_no_write(name, image, DISK_SIZE - CLUSTER, CLUSTER);
	expect_stopped(name, image);
	qcow_close(image);
	expect_marked(name, path, before);
	expect_qemu_agrees(name, path);
	free(before.bytes);
	free(path);
}

/* Writes to guest clusters that have no place yet.  They take the first host
   clusters that count as free, and must read back. */
static void allocate_some(const char *name, struct qcow_image *image)
{
	uint8_t bytes[CLUSTER];

	memset(bytes, 0x33, CLUSTER);
	for (uint64_t at = 16; at < 24; at++)
		if (qcow_write(image, bytes, at * CLUSTER, CLUSTER))
			die("%s: write", name);
	for (uint64_t at = 16; at < 24; at++)
		expect_bytes(name, image, at * CLUSTER, 0x33);
}

/* Refcounts of zero: no table and no block is taken for a free cluster. */
static void test_uncounted_tables(void)
{
	static const struct poke pokes[MAX_POKES] = {
		{ BLOCK, 8, 0 },     /* header, tables, block */
		{ BLOCK + 8, 2, 0 }, /* L2 table */
	};
	const char *name = "tables of refcount 0";
	char *path = scratch_path("image");
	struct qcow_image *image;

	make_broken(path, PLAIN, pokes);
	image = must_open(name, path, false);
	allocate_some(name, image);
	expect_bytes(name, image, 0, 0x11);
	expect_bytes(name, image, CLUSTER, 0x22);
	if (qcow_close(image))
		die("%s: close", name);
	must_run(
		"qemu-img check -q -r all %s >/dev/null 2>&1; qemu-img check -q %s",
		path, path);
	free(path);
}

/* The clusters of internal snapshots are not taken for free ones, either. */
static void test_uncounted_snapshots(void)
{
	static const struct poke pokes[MAX_POKES] = {
		{ BLOCK + 2 * (SNAPSHOT_L1 / CLUSTER), 2, 0 },
		{ BLOCK + 2 * (SNAPSHOTS / CLUSTER), 2, 0 },
	};
	const char *name = "snapshot tables of refcount 0";
	char *path = scratch_path("image"), *raw = scratch_path("raw");
	struct qcow_image *image;

	make_broken(path, SNAPSHOT, pokes);
	image = must_open(name, path, false);
	allocate_some(name, image);
	if (qcow_close(image))
		die("%s: close", name);
	must_run("qemu-img convert -l one -O raw %s %s", path, raw);
	must_run("qemu-img compare -q -f qcow2 -F raw %s %s", bases[PLAIN],
		 raw);
	must_run(
		"qemu-img check -q -r all %s >/dev/null 2>&1; qemu-img check -q %s",
		path, path);
	free(path);
	free(raw);
}

/* The tables of bitmaps are not taken for free clusters, either; their bits are
   data. */
static void test_uncounted_bitmaps(void)
{
	static const struct poke pokes[MAX_POKES] = {
		{ BLOCK + 2 * (BITMAP_TABLE / CLUSTER), 2, 0 },
		{ BLOCK + 2 * (BITMAPS / CLUSTER), 2, 0 },
	};
	const char *name = "bitmap tables of refcount 0";
	char *path = scratch_path("image");
	struct qcow_image *image;

	make_broken(path, BITMAP, pokes);
	image = must_open(name, path, false);
	allocate_some(name, image);
	if (qcow_close(image))
		die("%s: close", name);
	must_run(
		"qemu-img check -q -r all %s >/dev/null 2>&1; qemu-img check -q %s",
		path, path);
	must_run("qemu-img bitmap --remove %s one && qemu-img check -q %s",
		 path, path);
	free(path);
}

/* An L1 entry that names no table, though its flag says that the table is not
   shared.  The engine makes a table, as if the entry were zero. */
static void test_flag_alone(void)
{
	static const struct poke pokes[MAX_POKES] = { { L1 + 8, 8, COPIED } };
	const char *name = "L1 entry of a flag alone";
	char *path = scratch_path("image");
	uint8_t bytes[CLUSTER];
	struct qcow_image *image;

	make_broken(path, PLAIN, pokes);
	image = must_open(name, path, false);
	memset(bytes, 0x33, CLUSTER);
	if (qcow_write(image, bytes, DISK_SIZE - CLUSTER, CLUSTER))
		die("%s: write", name);
	expect_bytes(name, image, DISK_SIZE - CLUSTER, 0x33);
	if (qcow_close(image))
		die("%s: close", name);
	must_run("qemu-img check -q %s", path);
	free(path);
}

/* ---- parts that the engine does not look at ---- */

static const struct {
	const char *name;
	struct poke pokes[MAX_POKES];
} ignored[] = {
	{ "too many snapshots, CVE-2014-0144",
	  { H(NB_SNAPSHOTS, 4, 0xffffffff) } },
	{ "snapshot table unaligned", { H(SNAPSHOTS_OFFSET, 8, 0x1001) } },
	{ "snapshot table outside, CVE-2014-0146",
	  { H(SNAPSHOTS_OFFSET, 8, 1ull << 62) } },
	{ "snapshot table in the header", { H(SNAPSHOTS_OFFSET, 8, 0) } },
	{ "snapshot table in the L1 table", { H(SNAPSHOTS_OFFSET, 8, L1) } },
};

/* The engine does not read snapshots: a bad snapshot table changes nothing. */
static void test_ignored(unsigned int i)
{
	const char *name = ignored[i].name;
	char *path = scratch_path("image");
	uint8_t bytes[CLUSTER];
	struct qcow_image *image;

	make_broken(path, SNAPSHOT, ignored[i].pokes);
	if (expect_info(name, path, ""))
		die("%s: qcow_read_info", name);
	image = must_open(name, path, false);
	expect_bytes(name, image, 0, 0x11);
	memset(bytes, 0x33, CLUSTER);
	if (qcow_write(image, bytes, 0, CLUSTER))
		die("%s: write", name);
	expect_bytes(name, image, 0, 0x33);
	expect_bytes(name, image, CLUSTER, 0x22);
	if (qcow_close(image))
		die("%s: close", name);
	expect_no_journal(name);
	free(path);
}

void broken_later(void)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(laters); i++)
		for (enum approach how = 0; how < APPROACHES; how++)
			test_later(&laters[i], how);
	test_missing_block();
	test_uncounted_tables();
	test_uncounted_snapshots();
	test_uncounted_bitmaps();
	test_flag_alone();
	for (unsigned int i = 0; i < ARRAY_SIZE(ignored); i++)
		test_ignored(i);
}
