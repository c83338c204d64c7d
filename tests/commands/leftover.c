// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What lies where an overlay is to be made: what a command that died has left
 * is known, and nothing else is taken for that.  What may be removed is
 * removed, unless somebody has it open.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "plugin/commands/leftover.h"
#include "qcow/create.h"
#include "qcow/lock.h"
#include "qcow/merge.h"
#include "tests/lib/helpers.h"

#define SIZE (8u << 20)

static struct disk disk = { .id = DISK_ID_MAX, .size = SIZE };
static char *overlay;

static const char *const names[] = {
	[LEFTOVER_NONE] = "nothing",	  [LEFTOVER_UNUSED] = "unused",
	[LEFTOVER_OUTGROWN] = "outgrown", [LEFTOVER_MERGED] = "merged",
	[LEFTOVER_OTHER] = "other",
};

static void expect(enum leftover expected, const char *when)
{
	const enum leftover found = leftover_look(&disk, overlay);

	if (found != expected)
		die("%s: it is %s and not %s", when, names[found],
		    names[expected]);
}

static void make(uint64_t size)
{
	const struct qcow_overlay wanted = {
		.backing = disk.image,
		.format = "qcow2",
		.size = size,
	};
	struct qcow_error error = { "" };

	must_run("rm -f '%s'", overlay);
	if (qcow_create_overlay(overlay, &wanted, &error))
		die("%s: %s", overlay, error.text);
}

static void begin(const char *image)
{
	snprintf(disk.image, sizeof(disk.image), "%s/%s", scratch(), image);
	must_run("qemu-img create -q -f qcow2 'file:%s' %u", disk.image, SIZE);
	free(overlay);
	overlay = scratch_path("over");
	must_run("rm -f '%s'", overlay);
}

static void mark(void)
{
	struct qcow_error error = { "" };
	struct qcow_identity identity;

	if (qcow_identify_path(overlay, &identity) ||
	    qcow_mark_merged(overlay, &identity, disk.image, &error))
		die("mark: %s", error.text);
}

static void test_known(const char *image)
{
	begin(image);
	expect(LEFTOVER_NONE, "no file");
	make(SIZE);
	expect(LEFTOVER_UNUSED, image);
	make(SIZE / 2);
	expect(LEFTOVER_OUTGROWN, "smaller");
	make(2 * SIZE);
	expect(LEFTOVER_OTHER, "larger");
	make(SIZE);
	mark();
	expect(LEFTOVER_MERGED, "merged");
}

static void test_others(void)
{
	begin("disk");
	must_run(": >%s", overlay);
	expect(LEFTOVER_OTHER, "empty");
	make(SIZE);
	must_run("qemu-io -c 'write 0 512' %s >/dev/null", overlay);
	expect(LEFTOVER_OTHER, "written");
	make(SIZE);
	snprintf(disk.image, sizeof(disk.image), "%s/another", scratch());
	expect(LEFTOVER_OTHER, "of another image");
	begin("disk");
	must_run("ln -s nowhere %s", overlay);
	expect(LEFTOVER_NONE, "a link to nothing");
	must_run("rm %s && mkdir %s", overlay, overlay);
	expect(LEFTOVER_OTHER, "a directory");
	must_run("rmdir %s", overlay);
}

static void save(const char *image)
{
	struct disk now = disk;

	snprintf(now.image, sizeof(now.image), "%s", image);
	if (disk_save(&now, NULL))
		die("the record cannot be written");
}

/* The supervisor may come to the overlay while a command looks. */
static void test_served(void)
{
	begin("disk");
	make(SIZE);
	must_run("qemu-io -c 'write 0 512' %s >/dev/null", overlay);
	save(disk.image);
	expect(LEFTOVER_OTHER, "written, and not served");
	save(overlay);
	expect(LEFTOVER_UNUSED, "served by now");
	snprintf(disk.image, sizeof(disk.image), "%s", overlay);
	expect(LEFTOVER_OTHER, "served before");
}

static struct qcow_lock *open_it(void)
{
	struct qcow_error error;
	struct qcow_lock *lock;

	if (qcow_lock(overlay, NULL, true, false, &lock, &error))
		die("lock: %s", error.text);
	return lock;
}

static void test_removal(void)
{
	struct qcow_lock *lock;

	begin("disk");
	make(SIZE);
	lock = open_it();
	if (!leftover_remove(overlay) || access(overlay, F_OK))
		die("it is removed, and somebody has it open");
	qcow_unlock(lock);
	if (leftover_remove(overlay) || !access(overlay, F_OK))
		die("it is not removed");
}

static int unnamed; /* how often, and what that returns */
static int unnamed_status;
static const char *has; /* the disk's image */

static int unname(const struct disk *of, const char *file)
{
	if (of->id != disk.id || strcmp(file, overlay))
		die("another overlay");
	if (strcmp(of->image, has))
		die("the disk's image is taken for %s", of->image);
	unnamed++;
	return unnamed_status;
}

static void expect_discard(bool gone, const char *when)
{
	leftover_discard(&disk, overlay, unname);
	if (!access(overlay, F_OK) == gone)
		die("%s: it is %sthere", when, gone ? "" : "not ");
}

/* A supervisor that has it open, one that has come to it, and a file that may
   name it still. */
static void test_discard(void)
{
	struct qcow_lock *lock;

	begin("disk");
	make(SIZE);
	save(disk.image);
	has = disk.image;
	lock = open_it();
	expect_discard(false, "open");
	qcow_unlock(lock);
	save(overlay);
	expect_discard(false, "served by now");
	if (unnamed)
		die("it is needed, and not named any more");
	save(disk.image);
	unnamed_status = -EROFS;
	expect_discard(false, "named");
	/* A merge has ended since the command looked. */
	has = "/layer";
	save(has);
	expect_discard(false, "named, and the disk has another image");
	disk.nonce++;
	expect_discard(false, "of a disk that is gone");
	disk.nonce--;
	unnamed_status = 0;
	expect_discard(true, "not needed");
	if (unnamed != 3)
		die("it is named, or that of another disk is not");
}

static void expect_merged(bool gone, const char *when)
{
	leftover_remove_merged(overlay);
	if (!access(overlay, F_OK) == gone)
		die("%s: it is %sthere", when, gone ? "" : "not ");
}

static void test_merged(void)
{
	struct qcow_lock *lock;

	begin("disk");
	make(SIZE);
	expect_merged(false, "not merged");
	mark();
	lock = open_it();
	expect_merged(false, "merged and open");
	qcow_unlock(lock);
	expect_merged(true, "merged");
}

int main(void)
{
	test_known("disk");
	test_known("di:sk");
	test_others();
	setenv("UBLK_QCOW2_RUN", scratch(), 1);
	if (disk_stamp(&disk))
		die("no boot");
	test_served();
	test_removal();
	test_discard();
	test_merged();
	return 0;
}
