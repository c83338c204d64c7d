// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A raw data file, read alone, is the disk: a discarded range is zero there,
 * with a hole, or with zeros written where no holes can be.  A data file that
 * is a block device may end with the disk, in the middle of a cluster.  And no
 * image is another one's data (P6).
 */
#include <stdlib.h>
#include <string.h>
#include "tests/lib/disk.h"
#include "tests/lib/helpers.h"
#include "tests/lib/model.h"
#include "qcow/image.h"

#define CLUSTER 65536u

static struct disk disk, data;

static void load(struct disk *into, const char *name)
{
	char *path = scratch_path(name);

	disk_load(into, path);
	free(path);
}

static int open_image(const struct qcow_test_hooks *hooks,
		      struct qcow_image **image, struct qcow_error *error)
{
	char *path = scratch_path("image");
	struct qcow_options options = {
		.journal_dir = scratch(),
		.references = &model_references,
		.inline_checkpoint = true,
		.test = hooks,
	};
	int ret = qcow_open(path, &options, image, error);

	free(path);
	return ret;
}

static void make_image(void)
{
	must_run(
		"cd %s; rm -f image data; qemu-img create -q -f qcow2 -o data_file=data,data_file_raw=on image 1M",
		scratch());
}

static void expect(const char *when, unsigned int cluster, int byte)
{
	const uint8_t *bytes = data.bytes + cluster * CLUSTER;

	for (unsigned int i = 0; i < CLUSTER; i++)
		if (bytes[i] != byte)
			die("%s: byte %u of cluster %u is %#x", when, i,
			    cluster, bytes[i]);
}

static void test(const char *when, bool has_holes)
{
	static uint8_t bytes[2 * CLUSTER] __attribute__((aligned(4096)));
	struct qcow_error error = { "" };
	struct qcow_image *image;

	make_image();
	load(&disk, "image");
	load(&data, "data");
	data.hooks.block_device = !has_holes;
	disk.hooks.data = &data.hooks;
	if (open_image(&disk.hooks, &image, &error))
		die("%s: open: %s", when, error.text);
	memset(bytes, 7, sizeof(bytes));
	if (qcow_write(image, bytes, 0, sizeof(bytes)))
		die("%s: a write fails", when);
	expect(when, 0, 7);
	if (qcow_discard(image, 0, CLUSTER))
		die("%s: a discard fails", when);
	expect(when, 0, 0);
	expect(when, 1, 7);
	if (qcow_close(image))
		die("%s: the close fails", when);
	disk_free(&disk);
	disk_free(&data);
}

/* Half of the last cluster is behind the end of the disk and of the device. */
static void test_end(const char *when, const char *options)
{
	const uint64_t last = 15 * CLUSTER, size = last + CLUSTER / 2;
	static uint8_t bytes[512], read[CLUSTER / 2];
	struct qcow_error error = { "" };
	struct qcow_image *image;

	must_run(
		"cd %s; rm -f image data; truncate -s 1M base; qemu-img create -q -f qcow2 -o data_file=data,%s image %llu; truncate -s %llu data",
		scratch(), options, (unsigned long long)size,
		(unsigned long long)size);
	load(&disk, "image");
	load(&data, "data");
	disk_make_device(&data, 0);
	disk.hooks.data = &data.hooks;
	if (open_image(&disk.hooks, &image, &error))
		die("%s: open: %s", when, error.text);
	memset(bytes, 7, sizeof(bytes));
	if (qcow_write(image, bytes, last + 512, sizeof(bytes)))
		die("%s: a write to the last cluster fails", when);
	if (qcow_discard(image, last, size - last))
		die("%s: a discard of the last cluster fails", when);
	if (qcow_write_zeroes(image, last, size - last, true))
		die("%s: zeros of the last cluster fail", when);
	if (qcow_write(image, bytes, last + 1024, sizeof(bytes)) ||
	    qcow_read(image, read, last, sizeof(read)))
		die("%s: the last cluster cannot be written again", when);
	for (unsigned int i = 0; i < sizeof(read); i++)
		if (read[i] != (i >= 1024 && i < 1536 ? 7 : 0))
			die("%s: byte %u is %#x", when, i, read[i]);
	if (qcow_close(image))
		die("%s: the close fails", when);
	disk_free(&disk);
	disk_free(&data);
}

static void test_image_as_data(void)
{
	struct qcow_error error = { "" };
	struct qcow_image *image;

	make_image();
	must_run("cd %s; qemu-img create -q -f qcow2 data 1M", scratch());
	if (!open_image(NULL, &image, &error))
		die("an image is another one's data");
	if (!strstr(error.text, "is a qcow2 image itself"))
		die("refused with '%s'", error.text);
}

int main(void)
{
	test("with holes", true);
	test("without holes", false);
	test_end("raw", "data_file_raw=on");
	test_end("not raw", "data_file_raw=off");
	test_end("upon another",
		 "data_file_raw=off,backing_file=base,backing_fmt=raw");
	test_end("subclusters", "data_file_raw=off,extended_l2=on");
	test_image_as_data();
	return 0;
}
