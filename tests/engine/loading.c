// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * qcow_load() gets the tables that a mapping lacks, of the image and of the one
 * under it: then the request is mapped.  Where more than tables is in the way,
 * it says so, and changes nothing.
 */
#include <stdio.h>
#include <stdlib.h>
#include "tests/lib/helpers.h"
#include "qcow/image.h"

#define CLUSTER 512ull
#define PART	(CLUSTER * CLUSTER / 8) /* of the disk that a slice tells of */
#define PARTS	256u			/* more than the cache has slices */

static char data[CLUSTER];

static struct qcow_image *open_image(const char *path)
{
	struct qcow_options options = {
		.journal_dir = scratch(),
		.cache_size = 1,
		.inline_checkpoint = true,
	};
	struct qcow_error error = { "" };
	struct qcow_image *image;

	if (qcow_open(path, &options, &image, &error))
		die("%s", error.text);
	return image;
}

/* The second cluster of each part stays free. */
static void make_image(const char *path)
{
	struct qcow_image *image;

	must_run("qemu-img create -q -f qcow2 -o cluster_size=512 %s %llu",
		 path, PARTS * PART);
	image = open_image(path);
	for (unsigned int n = 0; n < PARTS; n++)
		if (qcow_write(image, data, n * PART, CLUSTER))
			die("cannot write");
	if (qcow_close(image))
		die("cannot close");
}

/* Of the other parts' slices, which push those of part 0 out of the cache. */
static void forget_first(struct qcow_image *image)
{
	for (unsigned int n = 1; n < PARTS; n++)
		if (qcow_read(image, data, n * PART, CLUSTER))
			die("cannot read");
}

static int map(struct qcow_image *image, bool writes, uint64_t offset)
{
	struct qcow_io io;
	int ret = writes ? qcow_map_write(image, &io, offset, CLUSTER) :
			   qcow_map_read(image, &io, offset, CLUSTER);

	if (!ret && qcow_finish(image, &io, 0))
		die("a mapped request is not finished");
	return ret;
}

static void must_be_mapped(struct qcow_image *image, bool writes,
			   const char *which)
{
	forget_first(image);
	if (map(image, writes, 0) != QCOW_MUST_BLOCK)
		die("%s: mapped with a table that is not there", which);
	if (!qcow_load(image, writes, 0, CLUSTER))
		die("%s: the table is all that it lacks", which);
	if (map(image, writes, 0))
		die("%s: not mapped, and the table is there", which);
}

static void must_block(struct qcow_image *image, bool writes, uint64_t offset,
		       const char *which)
{
	forget_first(image);
	if (qcow_load(image, writes, offset, CLUSTER))
		die("%s: the table is not all that it lacks", which);
}

static void one_image(const char *path)
{
	struct qcow_image *image = open_image(path);

	must_be_mapped(image, false, "a read");
	must_block(image, true, 0, "a write before the mark");
	if (qcow_write(image, data, 0, CLUSTER))
		die("cannot write");
	must_be_mapped(image, true, "a write in place");
	must_block(image, true, CLUSTER, "a write to a free cluster");
	if (qcow_close(image))
		die("cannot close");
}

static void overlay(const char *path, const char *backing)
{
	struct qcow_image *image;

	must_run("qemu-img create -q -f qcow2 -F qcow2 -b %s %s", backing,
		 path);
	image = open_image(path);
	must_be_mapped(image, false, "a read from the backing");
	if (qcow_write(image, data, 4 * PART, CLUSTER))
		die("cannot write");
	must_block(image, true, 0, "a write of a cluster of the backing");
	if (qcow_close(image))
		die("cannot close");
}

static void compressed(const char *path, const char *from)
{
	struct qcow_image *image;

	must_run("qemu-img convert -c -O qcow2 -o cluster_size=512 -S 0 %s %s",
		 from, path);
	image = open_image(path);
	must_block(image, false, 0, "a compressed cluster");
	if (qcow_close(image))
		die("cannot close");
}

int main(void)
{
	char *path = scratch_path("disk.qcow2");
	char *over = scratch_path("overlay.qcow2");
	char *packed = scratch_path("packed.qcow2");

	make_image(path);
	one_image(path);
	overlay(over, path);
	compressed(packed, path);
	free(path);
	free(over);
	free(packed);
	return 0;
}
