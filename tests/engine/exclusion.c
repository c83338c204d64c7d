// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Who must not be beside whom.
 *
 * A caller that must wait is started on a thread of its own while another is
 * in its way, at a place where that one is stopped: between its mapping and
 * its end, or in an I/O of its own.  A caller that comes through nevertheless
 * is a failure.  So no test here depends on who happens to be faster.
 *
 *	ranges	a change of a mapping waits for all I/O under it, and is never
 *		overtaken; each write and each group of a request is made
 *		under its range (R9)
 *	turns	only one at a time writes the mark, makes a table, grows the
 *		refcounts (R10), writes less than a unit
 */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "tests/lib/disk.h"
#include "tests/lib/helpers.h"
#include "tests/lib/judge.h"
#include "qcow/image.h"
#include "qcow/range.h"

#define CLUSTER	   65536u
#define SMALL	   512u
#define TIME_LIMIT 60	/* seconds; who hangs is killed */
#define PATIENCE   100u /* milliseconds for what must not happen */

static struct {
	struct disk disk;
	struct qcow_image *image;
	const char *what;
	uint8_t bytes[4 * CLUSTER] __attribute__((aligned(4096)));
} test;

static void start(const char *what, const char *make)
{
	char *path = scratch_path("image");
	struct qcow_options options = {
		.cache = QCOW_CACHE_WRITEBACK,
		.journal_dir = scratch(),
		.inline_checkpoint = true,
		.test = &test.disk.hooks,
	};
	struct qcow_error error = { "" };

	test.what = what;
	must_run("cd %s && rm -f image && %s", scratch(), make);
	disk_load(&test.disk, path);
	if (qcow_open(path, &options, &test.image, &error))
		die("%s: open: %s", what, error.text);
	free(path);
}

static void start_usual(const char *what)
{
	start(what, "qemu-img create -q -f qcow2 image 64M");
}

static void end(void)
{
	struct verdict verdict;

	if (qcow_close(test.image))
		die("%s: the close fails", test.what);
	judge(test.disk.bytes, test.disk.size, &verdict);
	if (verdict.corruptions || verdict.leaks)
		die("%s: %s", test.what, verdict.first);
	disk_free(&test.disk);
}

/* ---- callers ---- */

enum call {
	WRITE,
	DISCARD,
	ZEROES,
};

struct caller {
	enum call call;
	uint64_t offset;
	size_t length;
	pthread_t thread;
	atomic_bool done;
	int ret;
};

static void call(struct caller *caller)
{
	switch (caller->call) {
	case WRITE:
		caller->ret = qcow_write(test.image, test.bytes, caller->offset,
					 caller->length);
		break;
	case DISCARD:
		caller->ret = qcow_discard(test.image, caller->offset,
					   caller->length);
		break;
	case ZEROES:
		caller->ret = qcow_write_zeroes(test.image, caller->offset,
						caller->length, true);
		break;
	}
}

static void *run_caller(void *argument)
{
	struct caller *caller = argument;

	call(caller);
	caller->done = true;
	return NULL;
}

static void start_caller(struct caller *caller)
{
	caller->done = false;
	if (pthread_create(&caller->thread, NULL, run_caller, caller))
		die("cannot start a thread");
}

static void end_caller(struct caller *caller)
{
	pthread_join(caller->thread, NULL);
	if (caller->ret)
		die("%s: %s", test.what, strerror(-caller->ret));
}

static void do_call(enum call kind, uint64_t offset, size_t length)
{
	struct caller caller = {
		.call = kind,
		.offset = offset,
		.length = length,
	};

	call(&caller);
	if (caller.ret)
		die("%s: %s", test.what, strerror(-caller.ret));
}

static void must_not_be_done(const struct caller *caller)
{
	for (unsigned int i = 0; i < PATIENCE; i++) {
		if (caller->done)
			die("%s: it did not wait", test.what);
		usleep(1000);
	}
}

/* ---- ranges ---- */

static int map(bool write, uint64_t cluster, uint64_t count, struct qcow_io *io)
{
	if (write)
		return qcow_map_write(test.image, io, cluster * CLUSTER,
				      count * CLUSTER);
	return qcow_map_read(test.image, io, cluster * CLUSTER,
			     count * CLUSTER);
}

static void must_map(bool write, uint64_t cluster, uint64_t count,
		     struct qcow_io *io, int expected)
{
	int ret = map(write, cluster, count, io);

	if (ret != expected)
		die("%s: a %s of cluster %d is answered %d instead of %d",
		    test.what, write ? "write" : "read", (int)cluster, ret,
		    expected);
}

/* Nothing was moved: fresh clusters are given back. */
static void finish(struct qcow_io *io)
{
	if (qcow_finish(test.image, io, -ECANCELED) != -ECANCELED)
		die("%s: qcow_finish() does not tell of a failure", test.what);
}

static bool is_anyone_waiting(void)
{
	LOCKED(test.image);
	return test.image->waiters;
}

/* Waits behind two reads of a cluster, and nobody overtakes. */
static void test_waits(const char *what, enum call kind, uint64_t offset,
		       size_t length, uint64_t cluster)
{
	struct caller caller = {
		.call = kind,
		.offset = offset,
		.length = length,
	};
	struct qcow_io first, second, third;

	test.what = what;
	must_map(false, cluster, 1, &first, 0);
	must_map(false, cluster, 1, &second, 0);
	start_caller(&caller);
	while (!is_anyone_waiting())
		if (caller.done)
			die("%s: it did not wait", what);
	must_map(false, cluster, 1, &third, -EBUSY);
	finish(&first);
	must_not_be_done(&caller);
	finish(&second);
	end_caller(&caller);
}

static void test_ranges(void)
{
	start_usual("ranges");
	do_call(WRITE, 0, 4 * CLUSTER);
	test_waits("a discard beside I/O", DISCARD, 0, CLUSTER, 0);
	do_call(WRITE, 0, 4 * CLUSTER);
	test_waits("a discard, its first cluster", DISCARD, 0, 4 * CLUSTER, 0);
	do_call(WRITE, 0, 4 * CLUSTER);
	test_waits("a discard, its last cluster", DISCARD, 0, 4 * CLUSTER, 3);
	do_call(WRITE, 0, 4 * CLUSTER);
	test_waits("zeroes beside I/O", ZEROES, CLUSTER, CLUSTER, 1);
	test_waits("a fresh write beside I/O", WRITE, 8 * CLUSTER, CLUSTER, 8);
	test_waits("a fresh write, its end", WRITE, 16 * CLUSTER, 2 * CLUSTER,
		   17);
	end();
}

static void test_mapped(void)
{
	struct qcow_io io, other;

	start_usual("mapped");
	do_call(WRITE, 0, CLUSTER);
	/* In place, side by side. */
	must_map(true, 0, 1, &io, 0);
	must_map(true, 0, 1, &other, 0);
	finish(&io);
	finish(&other);
	/* A fresh one beside another's read. */
	must_map(false, 8, 1, &io, 0);
	must_map(true, 8, 1, &other, -EBUSY);
	must_map(true, 7, 2, &other, -EBUSY);
	must_map(true, 8, 2, &other, -EBUSY);
	finish(&io);
	/* Others beside a fresh one, and beside its neighbours. */
	must_map(true, 8, 2, &io, 0);
	must_map(false, 8, 1, &other, -EBUSY);
	must_map(true, 9, 1, &other, -EBUSY);
	must_map(false, 7, 1, &other, 0);
	finish(&other);
	must_map(false, 10, 1, &other, 0);
	finish(&other);
	finish(&io);
	end();
}

/* Cluster 0 must be somebody's while anything is done for it. */
static void must_be_held(void)
{
	if (!range_conflicts(test.image, 0, 0, false))
		die("%s: the range was left too early (R9)", test.what);
}

static int write_held(struct disk *disk, uint64_t offset)
{
	(void)disk;
	(void)offset;
	LOCKED(test.image);
	must_be_held();
	return 0;
}

static void append_held(void *opaque, enum qcow_event event)
{
	(void)opaque;
	/* The engine holds the lock. */
	if (event != QCOW_EVENT_GROUPS_DROPPED)
		must_be_held();
}

static void test_held(const char *what, enum call kind, const char *make)
{
	start(what, make);
	/* The mark is written under no range. */
	do_call(WRITE, 32 * CLUSTER, CLUSTER);
	test.disk.hooks.event = append_held;
	test.disk.on_write = write_held;
	do_call(kind, 0, CLUSTER / 2);
	do_call(kind, 0, CLUSTER);
	test.disk.hooks.event = NULL;
	test.disk.on_write = NULL;
	if (qcow_close(test.image))
		die("%s: the close fails", what);
	disk_free(&test.disk);
}

/* ---- turns ---- */

/* Started once, from inside the I/O of another. */
static struct caller second;
static bool is_armed;

static void arm(enum call kind, uint64_t offset, size_t length)
{
	second.call = kind;
	second.offset = offset;
	second.length = length;
	is_armed = true;
}

static void come_second(void)
{
	if (!is_armed)
		return;
	is_armed = false;
	start_caller(&second);
	must_not_be_done(&second);
}

static void end_second(void)
{
	if (is_armed)
		die("%s: the I/O to disturb was not made", test.what);
	end_caller(&second);
	test.disk.on_write = NULL;
	test.disk.on_read = NULL;
	end();
}

static int io_disturbed(struct disk *disk, uint64_t offset)
{
	(void)disk;
	(void)offset;
	come_second();
	return 0;
}

static int growth_disturbed(struct disk *disk, uint64_t offset)
{
	bool grows;

	(void)disk;
	(void)offset;
	{
		LOCKED(test.image);
		grows = test.image->allocator.grow_turn.taken;
	}
	if (grows)
		come_second();
	return 0;
}

static void test_two_marks(void)
{
	start_usual("two first writes");
	arm(WRITE, 8 * CLUSTER, CLUSTER);
	test.disk.on_write = io_disturbed;
	do_call(WRITE, 0, CLUSTER);
	end_second();
}

static void test_two_tables(void)
{
	const uint64_t behind = 128ull * SMALL;

	start("two that need one table",
	      "qemu-img create -q -f qcow2 -o cluster_size=512 image 1M");
	do_call(WRITE, 0, SMALL);
	arm(WRITE, behind + SMALL, SMALL);
	test.disk.on_write = io_disturbed;
	do_call(WRITE, behind, SMALL);
	end_second();
}

static void test_two_growths(void)
{
	start("two that need growth (R10)",
	      "qemu-img create -q -f qcow2 -o cluster_size=512,refcount_bits=64 image 1M");
	do_call(WRITE, 0, SMALL);
	arm(WRITE, 768u << 10, 16 * SMALL);
	test.disk.on_write = growth_disturbed;
	for (unsigned int i = 1; is_armed && i < 1024; i++)
		do_call(WRITE, i * SMALL, SMALL);
	end_second();
}

/* The neighbour writes other bytes of the unit that is being changed. */
static void test_two_unaligned(void)
{
	uint8_t read[1024] __attribute__((aligned(4096)));

	start_usual("two that write less than a unit");
	test.image->alignment = 4096;
	memset(test.bytes, 1, CLUSTER);
	do_call(WRITE, 0, CLUSTER);
	memset(test.bytes, 2, CLUSTER);
	arm(WRITE, 512, 512);
	test.disk.on_read = io_disturbed;
	do_call(WRITE, 0, 512);
	pthread_join(second.thread, NULL);
	if (qcow_read(test.image, read, 0, sizeof(read)) ||
	    memcmp(read, test.bytes, sizeof(read)))
		die("%s: one of them is lost", test.what);
	start_caller(&second);
	end_second();
}

int main(void)
{
	alarm(TIME_LIMIT);
	test_ranges();
	test_mapped();
	test_held("a fresh write", WRITE,
		  "qemu-img create -q -f qcow2 image 64M");
	test_held(
		"a discard", DISCARD,
		"qemu-img create -q -f qcow2 image 64M; qemu-io -c 'write 0 64k' image >/dev/null");
	test_held(
		"a copy", WRITE,
		"qemu-img create -q -f qcow2 image 64M; qemu-io -c 'write 0 64k' image >/dev/null; qemu-img snapshot -c one image");
	test_two_marks();
	test_two_tables();
	test_two_growths();
	test_two_unaligned();
	return 0;
}
