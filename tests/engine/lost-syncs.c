// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The engine never forgets a sync that failed, whatever the sync was for (R17).
 *
 * Through the page cache the kernel tells of lost data once.  So every sync
 * fails in turn, of the image and of its data file: the sync of a life's first
 * write, of bitmaps, of growing refcounts and their table, of a checkpoint, of
 * the close.  From then on no flush succeeds, nor does the close, until the
 * image is opened anew.
 *
 * A flush beside the failing sync does not succeed, either.
 *
 * Without the page cache a failed sync is no more than one failure.  A flush
 * may arrive while the engine tells of the failure; the next checkpoint answers
 * it.
 */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "tests/lib/model.h"
#include "tests/lib/disk.h"
#include "tests/lib/helpers.h"
#include "tests/lib/judge.h"
#include "qcow/image.h"

#define WRITES	    96u
#define PIECE	    4096u
#define CLUSTER	    65536u /* of all but the growing one */
#define FLUSH_EVERY 24u

static const struct shape {
	const char *what;
	const char *make;
	bool data_file;
	bool judged; /* the judge knows every feature of the image */
} shapes[] = {
	{ "growing",
	  "qemu-img create -q -f qcow2 -o cluster_size=512,refcount_bits=64 image 400K",
	  false, true },
	{ "version 2", "qemu-img create -q -f qcow2 -o compat=0.10 image 1M",
	  false, true },
	{ "bitmap",
	  "qemu-img create -q -f qcow2 image 1M; qemu-img bitmap --add image b",
	  false, false },
	{ "data file", "qemu-img create -q -f qcow2 -o data_file=data image 1M",
	  true, false },
};

static struct {
	const struct shape *shape;
	struct disk image, data;
	char bytes[PIECE] __attribute__((aligned(4096)));
} test;

static void make(const struct shape *shape)
{
	char *path = scratch_path("image");
	char *data = scratch_path("data");

	test.shape = shape;
	must_run("cd %s && rm -f image data && %s", scratch(), shape->make);
	disk_load(&test.image, path);
	if (shape->data_file) {
		disk_load(&test.data, data);
		test.image.hooks.data = &test.data.hooks;
	}
	free(data);
	free(path);
}

static void discard(void)
{
	disk_free(&test.image);
	if (test.shape->data_file)
		disk_free(&test.data);
}

static struct qcow_image *open_it(bool has_thread)
{
	char *path = scratch_path("image");
	struct qcow_options options = {
		.cache = QCOW_CACHE_WRITEBACK,
		.journal_dir = scratch(),
		.references = &model_references,
		.inline_checkpoint = !has_thread,
		.test = &test.image.hooks,
	};
	struct qcow_error error = { "" };
	struct qcow_image *image = NULL;

	if (qcow_open(path, &options, &image, &error))
		die("%s: open: %s", test.shape->what, error.text);
	free(path);
	return image;
}

/* Has the failing sync been made? */
static bool has_failed(const struct disk *disk)
{
	return disk->fail_sync >= 0 && disk->syncs > disk->fail_sync;
}

static void must_flush(struct qcow_image *image, const struct disk *disk)
{
	bool before = has_failed(disk);
	int ret = qcow_flush(image);

	if (has_failed(disk) && !ret)
		die("%s: sync %d failed %s, the flush succeeds",
		    test.shape->what, disk->fail_sync,
		    before ? "before" : "in it");
	if (!has_failed(disk) && ret)
		die("%s: flush: %s", test.shape->what, strerror(-ret));
}

static void use(struct qcow_image *image, const struct disk *disk)
{
	for (unsigned int i = 0; i < WRITES; i++) {
		int ret = qcow_write(image, test.bytes, i * PIECE, PIECE);

		if (ret && !has_failed(disk))
			die("%s: write %u: %s", test.shape->what, i,
			    strerror(-ret));
		if (has_failed(disk) || i % FLUSH_EVERY == 0)
			must_flush(image, disk);
	}
}

static void check_reopened(struct disk *disk)
{
	struct qcow_image *image;
	struct verdict verdict;
	int fail_sync = disk->fail_sync;

	disk->fail_sync = -1;
	image = open_it(false);
	must_flush(image, disk);
	if (qcow_close(image))
		die("%s: the close after opening anew fails", test.shape->what);
	if (!test.shape->judged)
		return;
	judge(test.image.bytes, test.image.size, &verdict);
	if (verdict.corruptions || verdict.leaks)
		die("%s: sync %d failed: %u corruptions, %u leaks: %s",
		    test.shape->what, fail_sync, verdict.corruptions,
		    verdict.leaks, verdict.first);
}

/* Returns whether the image came to this sync at all. */
static bool fail_one(const struct shape *shape, bool of_data, int at)
{
	struct qcow_image *image;
	struct disk *disk;
	bool reached;
	int ret;

	make(shape);
	disk = of_data ? &test.data : &test.image;
	disk->fail_sync = at;
	image = open_it(false);
	use(image, disk);
	ret = qcow_close(image);
	reached = has_failed(disk);
	if (reached && !ret)
		die("%s: sync %d failed, the close succeeds", shape->what, at);
	if (!reached && ret)
		die("%s: close: %s", shape->what, strerror(-ret));
	if (reached)
		check_reopened(disk);
	discard();
	return reached;
}

/* ---- beside each other ---- */

static atomic_bool in_sync;

static void linger(struct disk *disk)
{
	/* The failing sync takes its time. */
	if (disk->syncs != disk->fail_sync + 1 || in_sync)
		return;
	in_sync = true;
	usleep(200000);
}

static void *write_until_failure(void *image)
{
	for (unsigned int i = 1; i < WRITES; i++)
		if (qcow_write(image, test.bytes, i * PIECE, PIECE))
			break;
	return NULL;
}

static void test_beside(void)
{
	struct qcow_image *image;
	pthread_t writer;

	make(&shapes[0]);
	image = open_it(true);
	if (qcow_write(image, test.bytes, 0, PIECE) || qcow_flush(image))
		die("beside: the first write fails");
	/* The next sync is for growth, whose failure the kernel tells once. */
	test.image.fail_sync = test.image.syncs;
	test.image.on_sync = linger;
	pthread_create(&writer, NULL, write_until_failure, image);
	while (!in_sync)
		usleep(1000);
	if (!qcow_flush(image))
		die("a flush beside a failing sync succeeds");
	pthread_join(writer, NULL);
	if (!qcow_close(image))
		die("beside: the close succeeds");
	test.image.on_sync = NULL;
	check_reopened(&test.image);
	discard();
}

/* ---- while the engine tells of a failure ---- */

static struct {
	atomic_bool telling, heard, answered;
} told;

/* Returns when the second flush has surely arrived. */
static void listen(void *opaque, const char *line)
{
	(void)opaque;
	(void)line;
	if (told.heard)
		return;
	told.telling = true;
	usleep(300000);
	told.heard = true;
}

static void *flush_once(void *image)
{
	if (!qcow_flush(image))
		die("telling: the flush whose sync fails succeeds");
	return NULL;
}

static void *flush_again(void *image)
{
	int ret = qcow_flush(image);

	if (ret)
		die("telling: the second flush: %s", strerror(-ret));
	told.answered = true;
	return NULL;
}

/* A guest that writes all the time, so that the image is never idle. */
static void write_until_answered(struct qcow_image *image)
{
	for (unsigned int i = 0; !told.answered; i++) {
		if (i == 50)
			die("a flush that arrived while a failure was told of is not answered");
		if (qcow_discard(image, 0, CLUSTER) ||
		    qcow_write(image, test.bytes, 0, PIECE))
			die("telling: a write fails");
		usleep(100000);
	}
}

static void test_telling(void)
{
	char *path = scratch_path("image");
	struct qcow_options options = {
		.journal_dir = scratch(),
		.notice = listen,
		.test = &test.image.hooks,
	};
	struct qcow_error error = { "" };
	struct qcow_image *image;
	pthread_t first, second;

	make(&shapes[1]);
	if (qcow_open(path, &options, &image, &error))
		die("telling: open: %s", error.text);
	if (qcow_write(image, test.bytes, 0, PIECE))
		die("telling: the first write fails");
	test.image.fail_sync = test.image.syncs;
	pthread_create(&first, NULL, flush_once, image);
	while (!told.telling)
		usleep(1000);
	pthread_create(&second, NULL, flush_again, image);
	write_until_answered(image);
	pthread_join(first, NULL);
	pthread_join(second, NULL);
	if (qcow_close(image))
		die("telling: the close fails");
	discard();
	free(path);
}

/* A write in place changes no metadata, but the data needs a sync. */
static void test_close_syncs_data(void)
{
	struct qcow_image *image;
	int before;

	make(&shapes[ARRAY_SIZE(shapes) - 1]);
	image = open_it(false);
	if (qcow_write(image, test.bytes, 0, PIECE) || qcow_flush(image) ||
	    qcow_write(image, test.bytes, 0, PIECE))
		die("data file: writing fails");
	before = test.data.syncs;
	if (qcow_close(image))
		die("data file: the close fails");
	if (test.data.syncs == before)
		die("the close leaves a write in the data file unsynced");
	discard();
}

int main(void)
{
	unsigned int failed = 0;

	for (unsigned int s = 0; s < ARRAY_SIZE(shapes); s++) {
		for (int at = 0; fail_one(&shapes[s], false, at); at++)
			failed++;
		for (int at = 0;
		     shapes[s].data_file && fail_one(&shapes[s], true, at);
		     at++)
			failed++;
	}
	test_beside();
	test_close_syncs_data();
	test_telling();
	printf("%u syncs failed and were remembered\n", failed);
	return 0;
}
