// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Entries that point beyond the end of the file, in an image that was cut off.
 * Such an entry reads as zero, in the image itself and under an overlay, as
 * with QEMU.  Nothing is marked.  Bytes that are written there go elsewhere and
 * read back, whatever the refcounts say.  qemu-img check finds no corruption
 * afterwards.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "tests/engine/broken.h"
#include "tests/lib/helpers.h"
#include "qcow/image.h"

#define ENTRY(value) \
	{ \
		L2, 8, value \
	}
/* The refcount of the cluster at END, in the refcount block. */
#define COUNTED(n) \
	{ \
		BLOCK + END / CLUSTER * 2, 2, n \
	}

static const struct row {
	const char *name;
	enum base base;
	struct poke pokes[MAX_POKES];
} rows[] = {
	{ "just beyond", PLAIN, { ENTRY(END | COPIED) } },
	{ "just beyond, counted", PLAIN, { ENTRY(END | COPIED), COUNTED(1) } },
	{ "just beyond, shared", PLAIN, { ENTRY(END), COUNTED(2) } },
	{ "far beyond", PLAIN, { ENTRY(1ull << 55 | COPIED) } },
	{ "version 2", OLD, { ENTRY(END | COPIED) } },
	{ "zero flag", PLAIN, { ENTRY(END | COPIED | 1) } },
	{ "zero flag, counted",
	  PLAIN,
	  { ENTRY(END | COPIED | 1), COUNTED(1) } },
};

static void expect_content(const char *name, struct qcow_image *image,
			   uint32_t from, uint32_t to)
{
	uint8_t bytes[CLUSTER];

	if (qcow_read(image, bytes, 0, CLUSTER))
		die("%s: cannot read", name);
	for (unsigned int i = 0; i < CLUSTER; i++)
		if (bytes[i] != (i >= from && i < to ? 0x33 : 0))
			die("%s: byte %#x at %u", name, bytes[i], i);
	expect_bytes(name, image, CLUSTER, 0x22);
}

/* A queue would find no bytes there, or those of another cluster that the file
   has got meanwhile. */
static void expect_no_data(const char *name, struct qcow_image *image)
{
	struct qcow_io io;

	/* The read above has the tables in the cache. */
	if (qcow_map_read(image, &io, 0, CLUSTER))
		die("%s: cannot map the cluster", name);
	for (unsigned int i = 0; i < io.nr_extents; i++)
		if (io.extents[i].kind != QCOW_EXTENT_ZERO)
			die("%s: extent %u is no zeros", name, i);
	if (qcow_finish(image, &io, 0))
		die("%s: the mapped read fails", name);
}

/* The file keeps its bytes.  A journal may be made meanwhile, and removed. */
static void test_read(const struct row *row, const char *path, bool read_only)
{
	struct bytes_of before = bytes_of(path);
	struct qcow_image *image = must_open(row->name, path, read_only);

	expect_content(row->name, image, 0, 0);
	expect_no_data(row->name, image);
	if (qcow_close(image))
		die("%s: close", row->name);
	expect_unchanged(row->name, path, before);
	free(before.bytes);
}

/* Under another image. */
static void test_under(const struct row *row, const char *path)
{
	char *top = scratch_path("top");
	struct bytes_of before = bytes_of(path);
	struct qcow_image *image;

	must_run("qemu-img create -q -f qcow2 -b %s -F qcow2 %s", path, top);
	image = must_open(row->name, top, false);
	expect_content(row->name, image, 0, 0);
	if (qcow_close(image))
		die("%s: close of the overlay", row->name);
	expect_unchanged(row->name, path, before);
	free(before.bytes);
	free(top);
}

/* QEMU sees the same bytes, and no corruption.  It may find a leak, because the
   pokes made one. */
static void expect_sound(const struct row *row, const char *path, uint32_t from,
			 uint32_t to)
{
	int status = run("qemu-img check -q %s >/dev/null 2>&1", path);
	struct qcow_image *image;

	if (status != 0 && status != 3)
		die("%s: qemu-img check: %d", row->name, status);
	must_run("qemu-io -f qcow2 -c 'read -q -P 0x22 %u %u' %s", CLUSTER,
		 CLUSTER, path);
	image = must_open(row->name, path, true);
	expect_content(row->name, image, from, to);
	qcow_close(image);
}

static void test_change(const struct row *row, const char *path,
			enum approach how)
{
	uint32_t from = how == WRITE ? 512 : 0;
	uint32_t to = how == WRITE ? 1024 : how == WRITE_ALL ? CLUSTER : 0;
	struct qcow_image *image;
	uint8_t bytes[CLUSTER];
	int ret;

	make_broken(path, row->base, row->pokes);
	memset(bytes, 0x33, CLUSTER);
	image = must_open(row->name, path, false);
	if (to)
		ret = qcow_write(image, bytes, from, to - from);
	else
		ret = qcow_discard(image, 0, CLUSTER);
	if (ret)
		die("%s: change %u: %s", row->name, how, strerror(-ret));
	expect_content(row->name, image, from, to);
	/* Other clusters are allocated meanwhile, beyond the old end of the
	   file. */
	for (unsigned int i = 0; i < 16; i++)
		if (qcow_write(image, bytes, (32 + i) * CLUSTER, CLUSTER))
			die("%s: a write elsewhere", row->name);
	expect_content(row->name, image, from, to);
	if (qcow_close(image))
		die("%s: close", row->name);
	expect_sound(row, path, from, to);
}

/* A device cannot have the cluster at all.  The refcount of the cluster stays
   as it is, so that the journal can be replayed. */
static void test_device(void)
{
	static const struct row row = {
		"beyond a device",
		PLAIN,
		{ ENTRY((END + 0x10000) | COPIED),
		  { BLOCK + (END + 0x10000) / CLUSTER * 2, 2, 1 } },
	};
	char *path = scratch_path("image");
	uint8_t bytes[CLUSTER] = { 0 };
	struct qcow_image *image;

	make_broken(path, row.base, row.pokes);
	image = must_open(row.name, path, false);
	image->allocator.max_clusters = END / CLUSTER + 8;
	if (qcow_write(image, bytes, 0, CLUSTER))
		die("%s: write", row.name);
	for (unsigned int i = 0; i < image->dirty.active.used; i++) {
		uint64_t key = image->dirty.active.list[i].key;

		if (key_kind(key) == KEY_REFCOUNT &&
		    key_index(key) >= image->allocator.max_clusters)
			die("%s: the journal names it", row.name);
	}
	if (qcow_close(image))
		die("%s: close", row.name);
	free(path);
}

void broken_beyond(void)
{
	char *path = scratch_path("image");

	for (unsigned int i = 0; i < ARRAY_SIZE(rows); i++) {
		make_broken(path, rows[i].base, rows[i].pokes);
		test_read(&rows[i], path, false);
		test_read(&rows[i], path, true);
		test_under(&rows[i], path);
		for (enum approach how = WRITE; how <= DISCARD; how++)
			test_change(&rows[i], path, how);
	}
	test_device();
	free(path);
}
