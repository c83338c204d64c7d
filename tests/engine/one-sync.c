// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * How many syncs does a flush make?  Two where clusters become part of the
 * disk (R5, R6), and one where they are only taken away; two in the first
 * checkpoint after a replay, whatever it says (R11).  None but the last may be
 * left out.
 */
#include <stdlib.h>
#include "tests/lib/disk.h"
#include "tests/lib/helpers.h"
#include "tests/lib/model.h"
#include "qcow/image.h"

#define CLUSTER 65536u

static struct disk disk, data;
static uint8_t bytes[CLUSTER] __attribute__((aligned(4096)));

static struct qcow_image *open_image(const char *options, bool external)
{
	char *path = scratch_path("image"), *data_path = scratch_path("data");
	const struct qcow_options how = {
		.journal_dir = scratch(),
		.references = &model_references,
		.inline_checkpoint = true,
		.test = &disk.hooks,
	};
	struct qcow_error error = { "" };
	struct qcow_image *image;

	must_run(
		"cd %s && rm -f image data && qemu-img create -q -f qcow2 -o %s image",
		scratch(), options);
	disk_load(&disk, path);
	if (external) {
		disk_load(&data, data_path);
		disk.hooks.data = &data.hooks;
	}
	if (qcow_open(path, &how, &image, &error))
		die("open: %s", error.text);
	free(path);
	free(data_path);
	return image;
}

static void close_image(struct qcow_image *image, bool external)
{
	if (qcow_close(image))
		die("a close fails");
	disk_free(&disk);
	if (external)
		disk_free(&data);
}

static void expect(struct qcow_image *image, const char *when, int syncs)
{
	int before = disk.syncs;

	if (qcow_flush(image))
		die("%s: a flush fails", when);
	if (disk.syncs - before != syncs)
		die("%s: %d syncs, %d expected", when, disk.syncs - before,
		    syncs);
}

static void must(int ret)
{
	if (ret)
		die("an operation fails");
}

static void test_kinds(const char *options, bool external)
{
	struct qcow_image *image = open_image(options, external);

	must(qcow_write(image, bytes, 0, CLUSTER));
	expect(image, "a first write", 2);
	must(qcow_write(image, bytes, 0, CLUSTER));
	expect(image, "a write in place", 1);
	must(qcow_write(image, bytes, CLUSTER, CLUSTER));
	expect(image, "a new cluster", 2);
	must(qcow_write_zeroes(image, 0, CLUSTER, false));
	expect(image, "zeroes", 1);
	must(qcow_write(image, bytes, 0, CLUSTER));
	expect(image, "data where zeroes have a cluster", 2);
	must(qcow_discard(image, 0, 2 * CLUSTER));
	expect(image, "a discard", 1);
	must(qcow_discard(image, 0, CLUSTER));
	must(qcow_write(image, bytes, CLUSTER, CLUSTER));
	expect(image, "a discard and a new cluster", 2);
	close_image(image, external);
}

/* What an earlier process has begun is not known. */
static void test_first(void)
{
	struct qcow_image *image = open_image(
		"size=4M image; qemu-io -f qcow2 -c 'write -q 0 128k'", false);

	must(qcow_discard(image, 0, CLUSTER));
	expect(image, "a first discard", 2);
	must(qcow_discard(image, CLUSTER, CLUSTER));
	expect(image, "a second discard", 1);
	close_image(image, false);
}

int main(void)
{
	test_kinds("size=4M", false);
	test_kinds("size=4M,data_file=data", true);
	test_first();
	return 0;
}
