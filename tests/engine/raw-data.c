// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A raw data file, read alone, is the disk: a discarded range is zero there,
 * with a hole, or with zeros written where no holes can be.  And no image is
 * another one's data (P6).
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
	test_image_as_data();
	return 0;
}
