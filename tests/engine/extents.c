// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The work that a queue can do by itself.  The calls that never block must map
 * as much of a write as possible, in few pieces, with zeros around it only
 * where they are needed.  Nothing of this shows in the bytes of a disk, but in
 * its speed.
 *
 * usage: extents
 */
#include <stdio.h>
#include <stdlib.h>
#include "tests/lib/model.h"
#include "tests/lib/helpers.h"

#define CLUSTER 65536u
#define SUB	(CLUSTER / 32)

static unsigned int extents;

static void expect_write(struct qcow_image *image, uint64_t offset,
			 uint32_t length)
{
	const struct qcow_extent *extent;
	struct qcow_io io;

	if (qcow_map_write(image, &io, offset, length))
		die("a write of %u bytes at %lu needs a thread", length,
		    offset);
	extent = &io.extents[0];
	if (io.nr_extents != 1)
		die("a write of %u bytes at %lu is in %u pieces", length,
		    offset, io.nr_extents);
	if (extent->zero_before || extent->zero_after)
		die("zeros are written around %u bytes at %lu", length, offset);
	qcow_finish(image, &io, -1);
	extents++;
}

static void expect_read(struct qcow_image *image, uint64_t offset,
			uint32_t length)
{
	struct qcow_io io;

	if (qcow_map_read(image, &io, offset, length) || io.nr_extents != 1)
		die("a read of %u bytes at %lu is not in one piece", length,
		    offset);
	qcow_finish(image, &io, 0);
	extents++;
}

static struct qcow_image *open_new(const char *options)
{
	char *path = scratch_path("image");
	struct qcow_image *image;

	must_run(
		"rm -f %s; qemu-img create -q -f qcow2 -o cluster_size=%u%s %s 16M",
		path, CLUSTER, options, path);
	image = model_open(path, QCOW_CACHE_WRITEBACK);
	free(path);
	return image;
}

/* The first write of a life marks the image; the first write of a table makes
   it. */
static void write_first_at(struct qcow_image *image, uint64_t offset,
			   uint32_t length)
{
	uint8_t *bytes = calloc(1, length);

	if (qcow_write(image, bytes, offset, length))
		die("the first write fails");
	free(bytes);
}

static void write_first(struct qcow_image *image, uint32_t length)
{
	write_first_at(image, 0, length);
}

static void test_plain(void)
{
	struct qcow_image *image = open_new("");

	write_first(image, 4 * CLUSTER);
	expect_read(image, 512, 3 * CLUSTER);
	expect_write(image, 512, 3 * CLUSTER);
	/* All bytes behind the end of the file are zero. */
	expect_write(image, 5 * CLUSTER + 512, 512);
	expect_write(image, 5 * CLUSTER, 8 * CLUSTER);
	model_close(image);
}

/* Subclusters of one cluster are one extent.  A write of whole subclusters
   needs no copy of the bytes below the image. */
static void test_subclusters(void)
{
	struct qcow_image *image;

	must_run("head -c 16M /dev/urandom >%s/base", scratch());
	image = open_new(",extended_l2=on,backing_fmt=raw,backing_file=base");
	write_first(image, 9 * SUB);
	expect_read(image, SUB + 512, 7 * SUB);
	expect_read(image, 9 * SUB, 20 * SUB);
	expect_write(image, SUB + 512, 7 * SUB);
	expect_write(image, 10 * SUB, 5 * SUB);
	expect_write(image, CLUSTER, CLUSTER);
	expect_write(image, CLUSTER + 31 * SUB, SUB);
	expect_write(image, CLUSTER + 3 * SUB, 7 * SUB);
	model_close(image);
	image = open_new(",extended_l2=on");
	write_first(image, 512);
	expect_write(image, CLUSTER + 3 * SUB + 512, 7 * SUB);
	model_close(image);
}

/* Maps a write for a caller that can copy. */
static int map_copy(struct qcow_image *image, uint64_t offset, uint32_t length,
		    struct qcow_io *io)
{
	int ret;

	if (qcow_map_write(image, io, offset, length) != QCOW_MUST_BLOCK)
		die("a write at %lu that has to copy is mapped", offset);
	ret = qcow_map_copy(image, io, offset, length);
	if (!ret && qcow_finish(image, io, -1) != -1)
		die("a failure at %lu is not told", offset);
	extents++;
	return ret;
}

/* The bytes around the write come from the file below the image, or there are
   no such bytes. */
static void expect_copy(struct qcow_image *image, uint64_t offset,
			uint32_t length, uint32_t before, uint32_t after)
{
	const uint64_t cluster = offset / CLUSTER * CLUSTER;
	struct qcow_io io;

	if (map_copy(image, offset, length, &io))
		die("a copy around %u bytes at %lu needs a thread", length,
		    offset);
	if (io.nr_extents != 1 || io.copy.before != before ||
	    io.copy.after != after)
		die("around %u bytes at %lu, %u and %u are copied", length,
		    offset, io.copy.before, io.copy.after);
	if ((before || after) &&
	    (io.copy.file != 1 || io.copy.offset != cluster))
		die("the bytes around %lu are looked for at %lu of file %u",
		    offset, io.copy.offset, io.copy.file);
}

static void expect_thread(struct qcow_image *image, uint64_t offset,
			  uint32_t length)
{
	struct qcow_io io;

	if (map_copy(image, offset, length, &io) != QCOW_MUST_BLOCK)
		die("a copy around %u bytes at %lu is mapped", length, offset);
}

/* The image has a raw file of 640 KiB and 512 bytes below it. */
static void test_copies(void)
{
	struct qcow_image *image;

	must_run("head -c 655872 /dev/urandom >%s/base", scratch());
	image = open_new(",backing_fmt=raw,backing_file=base");
	write_first(image, CLUSTER);
	expect_copy(image, CLUSTER + 512, 1024, 512, CLUSTER - 1536);
	expect_copy(image, 2 * CLUSTER, 512, 0, CLUSTER - 512);
	expect_copy(image, 4 * CLUSTER - 512, 512, CLUSTER - 512, 0);
	/* A write of two clusters, and a write where the file ends. */
	expect_thread(image, 4 * CLUSTER - 512, 1024);
	expect_thread(image, 10 * CLUSTER, 512);
	model_close(image);
}

/* Loads the tables of the image, and those of the files below it. */
static void load_tables(struct qcow_image *image)
{
	uint8_t bytes[512];

	if (qcow_read(image, bytes, 2 * CLUSTER, sizeof(bytes)))
		die("cannot read");
}

/* The files below the image hold the bytes compressed, or in pieces, or hold
   none.  Bytes that are compressed or in pieces need a thread. */
static void test_copies_of_images(void)
{
	struct qcow_image *image;

	must_run(
		"cd %s; tr '\\0' U </dev/zero | head -c 2M >raw; rm base; qemu-img convert -c -O qcow2 raw base",
		scratch());
	image = open_new(",backing_fmt=qcow2,backing_file=base");
	write_first_at(image, 8 * CLUSTER, CLUSTER);
	load_tables(image);
	/* The first compressed cluster lies at a whole sector, the next ones do
	   not. */
	expect_thread(image, 512, 512);
	expect_thread(image, CLUSTER + 512, 512);
	model_close(image);
	must_run(
		"cd %s; rm base; qemu-img create -q -f qcow2 -o cluster_size=4k base 16M; qemu-io -f qcow2 -c 'write -q 64k 4k' -c 'write -q 1M 4k' base",
		scratch());
	image = open_new(",backing_fmt=qcow2,backing_file=base");
	write_first(image, CLUSTER);
	load_tables(image);
	expect_thread(image, CLUSTER + 512, 512);
	/* All bytes around it are zero, and so is a new cluster. */
	expect_copy(image, 2 * CLUSTER + 512, 512, 0, 0);
	model_close(image);
}

int main(void)
{
	test_plain();
	test_subclusters();
	test_copies();
	test_copies_of_images();
	printf("%u extents\n", extents);
	return 0;
}
