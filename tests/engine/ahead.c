// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Room that is set aside behind the clusters in use.  While there is room, the
 * file is a valid image, and the bytes around a small write read as zero.  A
 * clean close cuts the file off behind its last cluster, also after deaths, and
 * keeps what another program had put there before.  If there is no room, or the
 * room is needed elsewhere, no write fails.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "tests/lib/disk.h"
#include "tests/lib/helpers.h"
#include "tests/lib/judge.h"
#include "tests/lib/model.h"
#include "qcow/ahead.h"
#include "qcow/image.h"

#define SIZE	 (8u << 20) /* of the disks */
#define PIECE	 4096u
#define STEP	 (64u << 10) /* from one write to the next */
#define WRITES	 40u	     /* more than the least that is taken before */
#define AHEAD	 (128u << 10)
#define TO_SPARE (1u << 20)

static const char *const shapes[] = {
	"image 8M",
	"-o compat=0.10 image 8M",
	"-o cluster_size=4k image 8M",
	"-o cluster_size=16k,extended_l2=on image 8M",
	"-b base -F raw image 8M",
};

/* On the real file. */
static const struct qcow_test_hooks soon = { .ahead = AHEAD };

static struct {
	const char *shape;
	struct qcow_image *image;
	struct disk disk;
	uint64_t cluster; /* bytes */
	uint64_t place;	  /* in the file, where space is lacked */
} test;

static uint8_t bytes[STEP] __attribute__((aligned(4096)));

static void make(const char *shape)
{
	test.shape = shape;
	must_run(
		"cd %s && rm -f image *.journal *.life && qemu-img create -q -f qcow2 %s",
		scratch(), shape);
}

static uint64_t file_length(void)
{
	char *path = scratch_path("image");
	struct stat st;

	if (stat(path, &st))
		die("%s: stat", test.shape);
	free(path);
	return st.st_size;
}

static void open_image(bool thread, const struct qcow_test_hooks *hooks)
{
	struct qcow_options options = {
		.journal_dir = scratch(),
		.references = &model_references,
		.inline_checkpoint = !thread,
		.test = hooks,
	};
	struct qcow_error error = { "" };
	char *path = scratch_path("image");

	if (qcow_open(path, &options, &test.image, &error))
		die("%s: open: %s", test.shape, error.text);
	test.cluster = qcow_cluster_size(test.image);
	free(path);
}

static void write_some(unsigned int from, unsigned int to)
{
	for (unsigned int n = from; n < to; n++) {
		int ret;

		memset(bytes, 1 + n, PIECE);
		ret = qcow_write(test.image, bytes, n * STEP, PIECE);
		if (ret)
			die("%s: write %u: %s", test.shape, n, strerror(-ret));
	}
}

static void expect_some(unsigned int to)
{
	for (unsigned int n = 0; n < to; n++) {
		if (qcow_read(test.image, bytes, n * STEP, STEP))
			die("%s: a read fails", test.shape);
		for (unsigned int i = 0; i < STEP; i++)
			if (bytes[i] != (i < PIECE ? 1 + n : 0))
				die("%s: step %u, byte %u: %#x", test.shape, n,
				    i, bytes[i]);
	}
}

static void close_image(void)
{
	int ret = qcow_close(test.image);

	if (ret)
		die("%s: close: %s", test.shape, strerror(-ret));
}

static bool has_room(void)
{
	return file_length() > test.image->allocator.high_water * test.cluster;
}

/* Has the checkpoint's thread something to do? */
static bool is_asked(void)
{
	LOCKED(test.image);
	return test.image->allocator.ahead.ask_at == UINT64_MAX;
}

/* Writes until there is room.  Returns how many writes that took. */
static unsigned int write_until_room(bool thread)
{
	unsigned int n;

	for (n = 0; n < WRITES && !has_room(); n++) {
		write_some(n, n + 1);
		while (thread && is_asked())
			usleep(1000);
	}
	if (!has_room())
		die("%s: no room is set aside", test.shape);
	return n;
}

/* Free clusters at the file's end are no faults, nor is anything else. */
static void must_check(void)
{
	must_run("qemu-img check -q -U %s/image", scratch());
}

/* Of its last cluster the file may have a part. */
static void expect_end(const char *when)
{
	unsigned long size = round_up(file_length(), test.cluster);

	must_check();
	if (run("qemu-img check %s/image | grep -qx 'Image end offset: %lu'",
		scratch(), size))
		die("%s: %s: %lu bytes are not the end of its clusters",
		    test.shape, when, size);
}

static void test_close(const char *shape, bool thread,
		       const struct qcow_test_hooks *hooks)
{
	unsigned int n;

	make(shape);
	open_image(thread, hooks);
	n = write_until_room(thread);
	if (qcow_flush(test.image))
		die("%s: flush", shape);
	must_check();
	expect_some(n);
	close_image();
	expect_end("after a close");
}

static void die_after(unsigned int from, unsigned int to)
{
	pid_t child = fork();
	int status;

	if (!child) {
		open_image(false, &soon);
		write_some(from, to);
		kill(getpid(), SIGKILL);
	}
	waitpid(child, &status, 0);
	if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL)
		die("%s: the life failed", test.shape);
}

/* The second owner uses the room that the first one has left. */
static void test_deaths(const char *shape)
{
	make(shape);
	die_after(0, WRITES);
	die_after(WRITES, 2 * WRITES);
	open_image(false, &soon);
	expect_some(2 * WRITES);
	close_image();
	expect_end("after deaths");
}

/* The rest of the file is another program's.  Lives whose clusters lay behind
   it and are gone keep it. */
static void live_in_vain(void)
{
	open_image(false, &soon);
	/* As before a sweep. */
	test.image->allocator.cursor = test.image->allocator.high_water;
	write_some(0, 2 * WRITES);
	if (qcow_discard(test.image, 0, SIZE))
		die("%s: a discard fails", test.shape);
	close_image();
	must_check();
}

static void test_longer(const char *shape)
{
	uint64_t length;

	make(shape);
	live_in_vain(); /* but for its L2 tables */
	must_run("truncate -s +3M %s/image", scratch());
	length = file_length();
	live_in_vain();
	live_in_vain();
	if (file_length() < length)
		die("%s: the file was cut", shape);
}

/* ---- on a disk that lacks space ---- */

static void load(const char *shape)
{
	char *path = scratch_path("image");

	make(shape);
	disk_load(&test.disk, path);
	test.disk.hooks.ahead = AHEAD;
	free(path);
}

static void end_disk(const char *when)
{
	struct verdict verdict;

	close_image();
	judge(test.disk.bytes, test.disk.size, &verdict);
	if (verdict.corruptions || verdict.leaks)
		die("%s: %s: %s", test.shape, when, verdict.first);
	if (!judge_count(test.disk.bytes, test.disk.size,
			 (test.disk.size - 1) / test.cluster))
		die("%s: %s: the file ends with a free cluster", test.shape,
		    when);
	disk_free(&test.disk);
}

static void test_refused(const char *shape, int error)
{
	load(shape);
	test.disk.refuses_room = error;
	open_image(false, &test.disk.hooks);
	write_some(0, WRITES);
	expect_some(WRITES);
	test.disk.refuses_room = 0;
	write_some(WRITES, 2 * WRITES);
	expect_some(2 * WRITES);
	end_disk(strerror(-error));
}

/* As much fits as without any room set aside. */
static unsigned int fill(const char *shape, int refuses)
{
	unsigned int n = 0;

	load(shape);
	disk_limit(&test.disk, test.disk.size + TO_SPARE);
	test.disk.refuses_room = refuses;
	open_image(false, &test.disk.hooks);
	memset(bytes, 1, sizeof(bytes));
	while (!qcow_write(test.image, bytes, n * STEP, STEP))
		n++;
	end_disk("full");
	return n;
}

static void test_full(const char *shape)
{
	unsigned int without = fill(shape, -EOPNOTSUPP);
	unsigned int with = fill(shape, 0);

	if (with != without)
		die("%s: %u pieces fit, without room %u", shape, with, without);
}

/* There is space only where nobody sets any aside. */
static int lack_space(struct disk *disk, uint64_t offset)
{
	(void)disk;
	return offset == test.place && ahead_has_room(test.image) ? -ENOSPC : 0;
}

static void test_elsewhere(const char *shape)
{
	struct qcow_io io;
	unsigned int n;

	load(shape);
	open_image(false, &test.disk.hooks);
	for (n = 0; n < WRITES && !ahead_has_room(test.image); n++)
		write_some(n, n + 1);
	if (qcow_map_read(test.image, &io, 0, PIECE))
		die("%s: a read is not mapped", shape);
	test.place = io.extents[0].offset;
	qcow_finish(test.image, &io, 0);
	test.disk.on_write = lack_space;
	if (!ahead_has_room(test.image))
		die("%s: no room is set aside", shape);
	write_some(0, 1);
	write_some(n, 2 * WRITES);
	expect_some(2 * WRITES);
	end_disk("space is lacked");
}

static const struct qcow_file_ops *disk_ops;

/* A write gets its cluster while the room is given back, and its bytes arrive
   before the hole does. */
static int punch_late(void *disk, uint64_t offset, uint64_t length)
{
	const uint64_t guest = SIZE - STEP;
	bool writes = test.place;
	struct qcow_io io;
	int ret;

	test.place = 0;
	if (writes && qcow_map_write(test.image, &io, guest, PIECE))
		die("%s: a write is not mapped", test.shape);
	memset(bytes, 7, PIECE);
	if (writes)
		disk_ops->write(disk, bytes, io.extents[0].offset, PIECE);
	ret = disk_ops->punch(disk, offset, length);
	if (writes && qcow_finish(test.image, &io, 0))
		die("%s: a write fails", test.shape);
	return ret;
}

static void test_late(const char *shape)
{
	struct qcow_file_ops ops;
	unsigned int n;

	load(shape);
	disk_ops = test.disk.hooks.ops;
	ops = *disk_ops;
	ops.punch = punch_late;
	test.disk.hooks.ops = &ops;
	open_image(false, &test.disk.hooks);
	/* Brings the table into the cache. */
	write_some(SIZE / STEP - 2, SIZE / STEP - 1);
	for (n = 0; n < WRITES && !ahead_has_room(test.image); n++)
		write_some(n, n + 1);
	test.place = 1;
	{
		LOCKED(test.image);
		ahead_give_back(test.image);
	}
	if (qcow_read(test.image, bytes, SIZE - STEP, PIECE) || bytes[0] != 7)
		die("%s: bytes are punched", shape);
	expect_some(n);
	end_disk("late");
}

int main(void)
{
	static const int errors[] = { -EOPNOTSUPP, -ENOSPC, -EDQUOT, -EINTR };

	must_run("truncate -s 1M %s/base", scratch());
	test_close(shapes[0], true, NULL);
	for (unsigned int s = 0; s < ARRAY_SIZE(shapes); s++) {
		test_close(shapes[s], false, &soon);
		test_close(shapes[s], true, &soon);
		test_deaths(shapes[s]);
		test_longer(shapes[s]);
	}
	/* The judge knows the features of these. */
	for (unsigned int s = 0; s < 3; s++) {
		for (unsigned int e = 0; e < ARRAY_SIZE(errors); e++)
			test_refused(shapes[s], errors[e]);
		test_full(shapes[s]);
		test_elsewhere(shapes[s]);
		test_late(shapes[s]);
	}
	return 0;
}
