// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What a queue can do by itself: how much of a write the calls that never
 * block can map, in how many pieces, and with zeros around it only where they
 * are needed.  Nothing of it shows in the bytes of a disk, but in its speed.
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

/* The first write of a life marks the image, that of a table makes it. */
static void write_first(struct qcow_image *image, uint32_t length)
{
	uint8_t *bytes = calloc(1, length);

	if (qcow_write(image, bytes, 0, length))
		die("the first write fails");
	free(bytes);
}

static void test_plain(void)
{
	struct qcow_image *image = open_new("");

	write_first(image, 4 * CLUSTER);
	expect_read(image, 512, 3 * CLUSTER);
	expect_write(image, 512, 3 * CLUSTER);
	/* Behind the end of the file all is zero. */
	expect_write(image, 5 * CLUSTER + 512, 512);
	expect_write(image, 5 * CLUSTER, 8 * CLUSTER);
	model_close(image);
}

/* Subclusters of one cluster are one extent, and whole ones need no copy of
   what lies under them. */
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

int main(void)
{
	test_plain();
	test_subclusters();
	printf("%u extents\n", extents);
	return 0;
}
