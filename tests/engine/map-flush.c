// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A caller may make the syncs of a flush by itself, but only while the tables
 * hold every acknowledged change.  It may sync only the files whose failed
 * syncs nobody has to remember (R8, R17).
 */
#include <errno.h>
#include <stdlib.h>
#include "tests/lib/disk.h"
#include "tests/lib/helpers.h"
#include "tests/lib/model.h"
#include "qcow/image.h"

#define PIECE 65536u

static struct disk disk;
static char bytes[PIECE] __attribute__((aligned(4096)));

static struct qcow_image *open_it(const char *make, enum qcow_cache cache,
				  bool read_only)
{
	char *path = scratch_path("image");
	const struct qcow_options options = {
		.cache = cache,
		.read_only = read_only,
		.journal_dir = scratch(),
		.references = &model_references,
		.inline_checkpoint = true,
	};
	struct qcow_error error = { "" };
	struct qcow_image *image;

	must_run("cd %s && rm -f image data && qemu-img create -q -f qcow2 %s",
		 scratch(), make);
	if (qcow_open(path, &options, &image, &error))
		die("open: %s", error.text);
	free(path);
	return image;
}

static void must_write(struct qcow_image *image)
{
	if (qcow_write(image, bytes, 0, PIECE))
		die("a write fails");
}

static void expect(struct qcow_image *image, const char *when, int answer,
		   unsigned int files)
{
	unsigned int found = 77;
	int ret = qcow_map_flush(image, &found);

	if (ret != answer || (!ret && found != files))
		die("%s: answer %d, %u files", when, ret, found);
}

static void test_own(const char *make, unsigned int files)
{
	struct qcow_image *image = open_it(make, QCOW_CACHE_NONE, false);

	if (!image->file.direct)
		die("the tests' directory has no direct I/O");
	expect(image, "new", 0, files);
	must_write(image);
	expect(image, "a new cluster", QCOW_MUST_BLOCK, 0);
	if (qcow_flush(image))
		die("a flush fails");
	expect(image, "flushed", 0, files);
	must_write(image);
	expect(image, "written in place", 0, files);
	if (qcow_close(image))
		die("a close fails");
}

static void test_buffered(void)
{
	struct qcow_image *image = open_it("image 1M", QCOW_CACHE_WRITEBACK,
					   false);

	expect(image, "the page cache", QCOW_MUST_BLOCK, 0);
	image->health.sync_lost = true;
	expect(image, "a lost sync", -EIO, 0);
	image->health.sync_lost = false;
	if (qcow_close(image))
		die("a close fails");
}

static void test_read_only(void)
{
	struct qcow_image *image = open_it("image 1M", QCOW_CACHE_NONE, true);

	expect(image, "read-only", 0, 0);
	if (qcow_close(image))
		die("a close fails");
}

/* A checkpoint froze the written change, and then failed. */
static void test_frozen(void)
{
	char *path = scratch_path("image");
	struct qcow_options options = {
		.journal_dir = scratch(),
		.inline_checkpoint = true,
		.test = &disk.hooks,
	};
	struct qcow_error error = { "" };
	struct qcow_image *image;

	must_run("qemu-img create -q -f qcow2 %s 1M", path);
	disk_load(&disk, path);
	if (qcow_open(path, &options, &image, &error))
		die("open: %s", error.text);
	must_write(image);
	disk.fail_sync = disk.syncs;
	if (!qcow_flush(image))
		die("a flush without its sync succeeds");
	expect(image, "frozen", QCOW_MUST_BLOCK, 0);
	if (qcow_close(image))
		die("a close fails");
	disk_free(&disk);
	free(path);
}

int main(void)
{
	test_own("image 1M", 1);
	test_own("-o data_file=data image 1M", 2);
	test_buffered();
	test_read_only();
	test_frozen();
	return 0;
}
