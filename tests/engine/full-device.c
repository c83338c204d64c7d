// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * An image lacks space only when nothing is left that could free some (R16).
 *
 * The test writes to an image until its device, or its file system, is full.
 * Then it discards clusters, and takes the space again at once.  It needs the
 * space for data, or for the L2 table of a write or a discard.  Or it needs the
 * space for a copy of a compressed cluster or of data below the image, or for a
 * part of a cluster beside other parts.  If nothing was discarded, the write is
 * refused.  A later write succeeds once the device has been made larger.  The
 * image is sound afterwards.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "tests/lib/disk.h"
#include "tests/lib/helpers.h"
#include "tests/lib/judge.h"
#include "qcow/image.h"

#define CLUSTER 4096u
#define SIZE	(8u << 20) /* of the disks */
#define FAR	(6u << 20) /* nothing was ever written there */
#define FAR_TOO (4u << 20)
#define ROOM	(1u << 20) /* of the device, and a part of a cluster */
#define SECTOR	512u

static const struct shape {
	const char *what;
	const char *make;
	const char *options;
	bool judged; /* the judge knows every feature of the image */
} shapes[] = {
	{ "plain", "truncate -s 8M base", "image 8M", true },
	{ "version 2", "truncate -s 8M base", "-o compat=0.10 image 8M", true },
	{ "overlay", "head -c 8M /dev/urandom >base", "-b base -F raw image 8M",
	  true },
	{ "subclusters", "head -c 8M /dev/urandom >base",
	  "-o extended_l2=on,cluster_size=16k -b base -F raw image 8M", false },
};

static struct {
	const struct shape *shape;
	bool device;
	bool threads;
	struct disk disk;
	struct qcow_image *image;
	uint32_t cluster;
	char bytes[CLUSTER * 4] __attribute__((aligned(4096)));
} test;

static const char *name(void)
{
	static char text[100];

	snprintf(text, sizeof(text), "%s, %s, %s", test.shape->what,
		 test.device ? "device" : "file",
		 test.threads ? "thread" : "inline");
	return text;
}

static void open_image(void)
{
	char *path = scratch_path("image");
	struct qcow_options options = {
		.cache = QCOW_CACHE_WRITEBACK,
		.journal_dir = scratch(),
		.inline_checkpoint = !test.threads,
		.test = &test.disk.hooks,
	};
	struct qcow_error error = { "" };

	if (qcow_open(path, &options, &test.image, &error))
		die("%s: open: %s", name(), error.text);
	test.cluster = qcow_cluster_size(test.image);
	free(path);
}

/* A compressed cluster is at the disk's end, if the shape has such. */
static void make(const struct shape *shape, bool device, bool threads)
{
	char *path = scratch_path("image");

	test.shape = shape;
	test.device = device;
	test.threads = threads;
	must_run("cd %s && rm -f image base && %s", scratch(), shape->make);
	must_run("cd %s && qemu-img create -q -f qcow2 -o cluster_size=%u %s",
		 scratch(), CLUSTER, shape->options);
	must_run("qemu-io -f qcow2 -c 'write -q -c -P 3 %u 16k' %s",
		 SIZE - (16u << 10), path);
	disk_load(&test.disk, path);
	if (device)
		disk_make_device(&test.disk, ROOM + SECTOR);
	else
		disk_limit(&test.disk, test.disk.size + ROOM);
	free(path);
	open_image();
	memset(test.bytes, 7, sizeof(test.bytes));
}

static void close_image(void)
{
	struct verdict verdict;
	int ret = qcow_close(test.image);

	if (ret)
		die("%s: close: %s", name(), strerror(-ret));
	if (test.shape->judged) {
		judge(test.disk.bytes, test.disk.size, &verdict);
		if (verdict.corruptions || verdict.leaks)
			die("%s: %u corruptions, %u leaks: %s", name(),
			    verdict.corruptions, verdict.leaks, verdict.first);
	}
	disk_free(&test.disk);
}

static int write_at(uint64_t offset, uint32_t length)
{
	return qcow_write(test.image, test.bytes, offset, length);
}

static void must_write(const char *what, uint64_t offset, uint32_t length)
{
	int ret = write_at(offset, length);

	if (ret)
		die("%s: %s: %s", name(), what, strerror(-ret));
}

static void must_discard(uint64_t guest, unsigned int count)
{
	int ret = qcow_discard(test.image, guest * test.cluster,
			       count * test.cluster);

	if (ret)
		die("%s: discard: %s", name(), strerror(-ret));
}

static void must_lack(const char *what, uint64_t offset, uint32_t length)
{
	int ret = write_at(offset, length);

	if (ret != -ENOSPC)
		die("%s: %s: %s", name(), what,
		    ret ? strerror(-ret) : "succeeds on a full device");
}

/* Writes guest clusters until the image is full; returns how many found a
   place.  Leaves nothing that a checkpoint could free. */
static uint64_t fill(void)
{
	uint64_t guest = 0;
	int ret;

	while (!(ret = write_at(guest * test.cluster, test.cluster)))
		guest++;
	if (ret != -ENOSPC || guest < 16)
		die("%s: filling, at cluster %lu: %s", name(), guest,
		    strerror(-ret));
	if (qcow_flush(test.image))
		die("%s: flush", name());
	must_lack("a write into the full image", guest * test.cluster,
		  test.cluster);
	if (test.device)
		must_lack("a small write, for which a part would do",
			  guest * test.cluster, SECTOR);
	return guest;
}

/* Each discard frees some clusters, and the next call needs as many, or
   fewer. */
static void test_reuse(void)
{
	bool over = strcmp(test.shape->what, "plain") &&
		    strcmp(test.shape->what, "version 2");

	fill();
	must_discard(10, 1);
	/* In an image with a layer below, this needs an L2 table. */
	must_discard(FAR_TOO / test.cluster, 1);
	must_discard(3, 1);
	must_write("data where data was", 3 * test.cluster, test.cluster);
	must_discard(4, 2);
	must_write("an L2 table and data", FAR, test.cluster);
	must_discard(6, 2);
	must_write("a part of a compressed cluster", SIZE - (16u << 10),
		   SECTOR);
	if (over) {
		must_discard(8, 1);
		must_write("a part of a cluster below", FAR + test.cluster,
			   SECTOR);
		must_discard(9, 1);
		must_write("a part beside others",
			   FAR + 2 * test.cluster + SECTOR, SECTOR);
	}
	close_image();
}

static void test_growth(void)
{
	uint64_t guest = fill();

	disk_grow(&test.disk, 2 * ROOM);
	must_write("a write into the larger device", guest * test.cluster,
		   test.cluster);
	if (fill() < guest + ROOM / test.cluster)
		die("%s: little of the larger device is used", name());
	close_image();
}

/* The search for free clusters begins at the end of the file, and has hardly
   begun. */
static void test_unswept(void)
{
	make(&shapes[0], false, false);
	fill();
	must_discard(3, 2);
	if (qcow_flush(test.image))
		die("%s: flush", name());
	test.image->allocator.cursor = test.image->allocator.high_water;
	test.image->allocator.swept = false;
	must_write("before the sweep", 3 * test.cluster, test.cluster);
	close_image();
}

/* With small clusters, refcount blocks are made ahead for more than this
   device has. */
static void test_blocks_ahead(void)
{
	char *path = scratch_path("image");

	test.shape = &shapes[0];
	test.device = true;
	test.threads = false;
	must_run(
		"qemu-img create -q -f qcow2 -o cluster_size=512,refcount_bits=64 %s 200K",
		path);
	disk_load(&test.disk, path);
	disk_make_device(&test.disk, 100u << 10);
	open_image();
	if (fill() < 100)
		die("%s: little of the small device is used", name());
	close_image();
	free(path);
}

int main(void)
{
	unsigned int combinations = 0;

	for (unsigned int s = 0; s < ARRAY_SIZE(shapes); s++)
		for (unsigned int how = 0; how < 4; how++) {
			make(&shapes[s], how & 1, how & 2);
			test_reuse();
			make(&shapes[s], how & 1, how & 2);
			test_growth();
			combinations++;
		}
	test_unswept();
	test_blocks_ahead();
	printf("%u combinations lacked space and found some\n", combinations);
	return 0;
}
