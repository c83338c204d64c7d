// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Callers that must not be at work beside each other.
 *
 * A caller that must wait is started on a thread of its own while another
 * caller is in its way.  The test has stopped that other caller between its
 * mapping and its end, or in an I/O of its own.  It is a failure if the first
 * caller comes through nevertheless.  So no test here depends on which caller
 * is faster.
 *
 *	ranges	a change of a mapping waits for all I/O under it, and is never
 *		overtaken; each write and each group of a request is made
 *		under its range (R9), and a write of less than a unit reads the
 *		rest of the unit there
 *	turns	only one at a time writes the mark, makes a table, grows the
 *		refcounts (R10)
 */
#include <errno.h>
#include <unistd.h>
#include "tests/engine/exclusion.h"
#include "tests/lib/helpers.h"
#include "qcow/image.h"
#include "qcow/range.h"

#define TIME_LIMIT 60 /* seconds; a test that hangs is killed */

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

/* No bytes were moved: fresh clusters are given back. */
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

static void must_wait(const struct caller *caller)
{
	while (!is_anyone_waiting())
		if (caller->done)
			die("%s: it did not wait", test.what);
}

/* The call waits behind two reads of a cluster, and no later read overtakes
   it. */
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
	must_wait(&caller);
	must_map(false, cluster, 1, &third, -EBUSY);
	finish(&first);
	must_not_be_done(&caller);
	finish(&second);
	end_caller(&caller);
}

/* The call waits behind the change of a mapping, and goes on by itself when the
   change has ended: no other call comes by. */
static void test_goes_on(const char *what, enum call kind)
{
	struct caller caller = {
		.call = kind,
		.offset = 8 * CLUSTER,
		.length = CLUSTER,
	};
	struct qcow_io io;

	start_usual(what);
	do_call(WRITE, 0, CLUSTER);
	must_map(true, 8, 1, &io, 0);
	start_caller(&caller);
	must_wait(&caller);
	must_not_be_done(&caller);
	finish(&io);
	end_caller(&caller);
	end();
}

/* A read of other clusters than those that change is mapped under the lock.  It
   holds its range all the same. */
static void test_read_beside_change(void)
{
	struct caller caller = { .call = DISCARD, .length = CLUSTER };
	struct qcow_io change, read;

	start_usual("a discard beside a read that was mapped under the lock");
	do_call(WRITE, 0, CLUSTER);
	must_map(true, 8, 1, &change, 0);
	must_map(false, 0, 1, &read, 0);
	start_caller(&caller);
	must_wait(&caller);
	finish(&change);
	must_not_be_done(&caller);
	finish(&read);
	end_caller(&caller);
	end();
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
	/* Two writes in place, side by side. */
	must_map(true, 0, 1, &io, 0);
	must_map(true, 0, 1, &other, 0);
	finish(&io);
	finish(&other);
	/* A fresh cluster beside another request's read. */
	must_map(false, 8, 1, &io, 0);
	must_map(true, 8, 1, &other, -EBUSY);
	must_map(true, 7, 2, &other, -EBUSY);
	must_map(true, 8, 2, &other, -EBUSY);
	finish(&io);
	/* Requests beside a fresh cluster, and beside its neighbours. */
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

/* Some request must hold the range of cluster 0 while I/O is made for it. */
static void must_be_held(void)
{
	if (!range_conflicts(test.image, 0, 0))
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
	/* The engine holds the image's lock during this event. */
	if (event != QCOW_EVENT_GROUPS_DROPPED)
		must_be_held();
}

static void test_held(const char *what, enum call kind, const char *make)
{
	start(what, make);
	/* The engine writes the mark under no range, so this write comes
	   first. */
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

int main(void)
{
	alarm(TIME_LIMIT);
	test_ranges();
	test_goes_on("a write beside a fresh one", WRITE);
	test_goes_on("a discard beside a fresh write", DISCARD);
	test_read_beside_change();
	test_mapped();
	test_held("a fresh write", WRITE,
		  "qemu-img create -q -f qcow2 image 64M");
	test_held(
		"a discard", DISCARD,
		"qemu-img create -q -f qcow2 image 64M; qemu-io -c 'write 0 64k' image >/dev/null");
	test_held(
		"a copy", WRITE,
		"qemu-img create -q -f qcow2 image 64M; qemu-io -c 'write 0 64k' image >/dev/null; qemu-img snapshot -c one image");
	test_turns();
	return 0;
}
