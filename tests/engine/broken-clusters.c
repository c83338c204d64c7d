// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Damaged streams of compressed clusters, and subclusters in a state that is
 * not allowed.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "tests/engine/broken.h"
#include "tests/lib/helpers.h"

/* ---- compressed clusters ---- */

struct packed_row {
	const char *name;
	uint64_t set, clear; /* bits of the entry */
	uint64_t add;
	bool garbage; /* instead: the stream's first bytes */
};

/* With clusters of 4 KiB: offset in bits 0 to 57, sectors from 58. */
static const struct packed_row packed_rows[] = {
	{ "stream damaged", 0, 0, 0, true },
	{ "stream beyond the file", 1ull << 40, 0, 0, false },
	{ "stream far beyond the file", 1ull << 55, 0, 0, false },
	{ "stream in the header", 0, 0x3ffffffffffffffull, 16, false },
	{ "stream elsewhere", 0, 0, 8, false },
};

static void break_stream(const struct packed_row *row, const char *path)
{
	struct bytes_of b = bytes_of(bases[PACKED]);
	uint64_t l1 = broken_load(b.bytes + HEADER_L1_OFFSET, 8);
	uint64_t l2 = broken_load(b.bytes + l1, 8) & ENTRY_OFFSET;
	uint64_t entry = broken_load(b.bytes + l2, 8);

	if (!(entry & ENTRY_COMPRESSED))
		die("%s: not compressed", row->name);
	if (row->garbage)
		memset(b.bytes + (entry & 0x3ffffffffffffffull), 0xff, 8);
	broken_store(b.bytes + l2, 8,
		     ((entry & ~row->clear) | row->set) + row->add);
	write_file(path, b.bytes, b.size);
	free(b.bytes);
}

/* Streams carry no checksum.  A broken stream is an error of its own cluster,
   and the other clusters go on. */
static void test_packed(const struct packed_row *row)
{
	const struct later broken = { .name = row->name };
	char *path = scratch_path("image");
	struct qcow_image *image;

	break_stream(row, path);
	image = must_open(row->name, path, true);
	expect_read(&broken, image);
	expect_bytes(row->name, image, CLUSTER, 0x22);
	qcow_close(image);
	image = must_open(row->name, path, false);
	expect_no_write(row->name, image, 0, 512);
	expect_read(&broken, image);
	expect_bytes(row->name, image, CLUSTER, 0x22);
	qcow_close(image);
	expect_no_journal(row->name);
	free(path);
}

/* A write of the whole cluster need not unpack the stream, nor need a discard.
   But both would give back the host cluster of the stream, which is a table
   here. */
static void test_packed_in_table(const char *name, unsigned int field,
				 enum approach how)
{
	const struct later broken = { .name = name };
	char *path = scratch_path("image");
	struct bytes_of before = bytes_of(bases[PACKED]);
	uint64_t l1 = broken_load(before.bytes + HEADER_L1_OFFSET, 8);
	uint64_t l2 = broken_load(before.bytes + l1, 8) & ENTRY_OFFSET;
	uint64_t at = field ? broken_load(before.bytes + field, 8) : l2;
	struct qcow_image *image;

	broken_store(before.bytes + l2, 8, at | ENTRY_COMPRESSED);
	write_file(path, before.bytes, before.size);
	image = must_open(name, path, false);
	approach(&broken, image, how);
	expect_no_write(name, image, CLUSTER, CLUSTER);
	expect_bytes(name, image, CLUSTER, 0x22);
	qcow_close(image);
	expect_marked(name, path, before);
	expect_qemu_agrees(name, path);
	free(before.bytes);
	free(path);
}

static void test_packed_in_tables(void)
{
	for (enum approach how = WRITE_ALL; how <= DISCARD; how++) {
		test_packed_in_table("stream in the L1 table", HEADER_L1_OFFSET,
				     how);
		test_packed_in_table("stream in the refcount table",
				     HEADER_REFCOUNT_TABLE_OFFSET, how);
		test_packed_in_table("stream in its L2 table", 0, how);
	}
}

/* ---- subclusters ---- */

static const struct sub_row {
	const char *name;
	uint64_t set, clear; /* bits of the first entry */
	uint64_t bitmap;     /* bits set in its second word */
	bool qemu_content;   /* qemu-img check finds nothing */
} sub_rows[] = {
	{ "first subcluster allocated and zero", .bitmap = 1ull << 32 },
	{ "last subcluster allocated and zero", .bitmap = 1ull << 63 },
	{ "subclusters allocated, but no cluster", .clear = -1ull },
	{ "zero flag with subclusters", .set = ENTRY_ZERO,
	  .qemu_content = true },
};

static void break_subclusters(const struct sub_row *row, const char *path)
{
	struct bytes_of b = bytes_of(bases[EXTENDED]);
	uint64_t l1 = broken_load(b.bytes + HEADER_L1_OFFSET, 8);
	uint8_t *l2 = b.bytes + (broken_load(b.bytes + l1, 8) & ENTRY_OFFSET);

	broken_store(l2, 8, (broken_load(l2, 8) & ~row->clear) | row->set);
	broken_store(l2 + 8, 8, broken_load(l2 + 8, 8) | row->bitmap);
	write_file(path, b.bytes, b.size);
	free(b.bytes);
}

/* Every subcluster of the entry is refused, not only the broken subcluster. */
static void test_subclusters(const struct sub_row *row, enum approach how)
{
	const struct later broken = { .name = row->name };
	char *path = scratch_path("image");
	struct bytes_of before;
	struct qcow_image *image;

	break_subclusters(row, path);
	before = bytes_of(path);
	image = must_open(row->name, path, how == READ_ONLY);
	expect_bytes(row->name, image, EXTENDED_CLUSTER, 0x22);
	if (how == DISCARD) {
		if (qcow_discard(image, 0, EXTENDED_CLUSTER) != -EIO)
			die("%s: discard", row->name);
	} else {
		approach(&broken, image, how);
	}
	expect_bytes(row->name, image, EXTENDED_CLUSTER, 0x22);
	if (how != READ_ONLY && how != READ)
		expect_no_write(row->name, image, EXTENDED_CLUSTER, 512);
	qcow_close(image);
	if (how == READ_ONLY || how == READ)
		expect_unchanged(row->name, path, before);
	else
		expect_marked(row->name, path, before);
	if (!row->qemu_content)
		expect_qemu_agrees(row->name, path);
	free(before.bytes);
	free(path);
}

void broken_clusters(void)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(packed_rows); i++)
		test_packed(&packed_rows[i]);
	test_packed_in_tables();
	for (unsigned int i = 0; i < ARRAY_SIZE(sub_rows); i++)
		for (enum approach how = 0; how < APPROACHES; how++)
			test_subclusters(&sub_rows[i], how);
}
