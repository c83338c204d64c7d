// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A journal belongs to one point of one life of one image (R12).  A process
 * writes to an image and is killed.  Before the next process opens the image,
 * something happens to the file:
 *
 *	nothing, another mode, another name and back	the journal is replayed
 *	another program writes to it			refused
 *	an older copy is put back, in four ways		refused
 *	the journal is taken away			refused, if it mattered
 *	the journal is cut short or damaged		refused
 *	the file is deleted, a new one has its inode	the new one is served
 *
 * That holds for images with a mark, and for images that have no room for one;
 * with writes in flight at the death, and with none; and if the clock was set.
 * Where nothing can tell, as on a block device, only an unbroken lock helps.
 * Any refused image can be forced, and is a sound image afterwards.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "tests/engine/put-back.h"
#include "tests/lib/model.h"
#include "qcow/image.h"

static const struct happening {
	const char *what;
	const char *command;
	bool refused;
} happenings[] = {
	{ "nothing", "true", false },
	{ "another mode", "chmod 600 image", false },
	{ "moved away and back", "mv image away; mv away image", false },
	{ "another writer",
	  "qemu-io -f qcow2 -c 'write -q -P 9 512k 64k' image", true },
	{ "cp", "cp copy image", true },
	{ "cp -p", "cp -p copy image", true },
	{ "older contents, newest times",
	  "touch -r image times; cat copy >image; touch -r times image", true },
};

static void test_happening(enum shape shape, enum ending ending,
			   const struct happening *happening)
{
	char what[160];

	snprintf(what, sizeof(what), "%s, %s, %s", shapes[shape],
		 ending == AT_REST ? "at rest" : "in flight", happening->what);
	/* Only the mark can tell that the times lie. */
	if (strstr(happening->command, "touch") && !has_mark(shape))
		return;
	live_and_die(shape, ending);
	/* Within the lease only the mark can tell. */
	if (ending == IN_FLIGHT)
		usleep((LEASE_MS + 50) * 1000);
	in_scratch(happening->command);
	if (happening->refused)
		expect_refused(what, "an");
	else
		expect_replayed(what);
}

/* A write is queued when its process dies, and stamps the file later. */
static void test_ghost(enum shape shape)
{
	struct qcow_options options = plain_options();
	const char *stamp = "touch image; test ! -e data || touch data";

	live_and_die(shape, IN_FLIGHT);
	usleep((LEASE_MS + 50) * 1000);
	in_scratch(stamp);
	if (has_mark(shape))
		expect_replayed("a late stamp, with a mark");
	else
		expect_refused("a late stamp, without a mark", "another");

	/* As if a supervisor had held the locks all the time, and kept
	   everybody away. */
	options.unbroken = true;
	live_and_die(shape, IN_FLIGHT);
	usleep((LEASE_MS + 50) * 1000);
	in_scratch(stamp);
	expect_replayed_by(&options, "a late stamp, unbroken");
}

/* ---- the journal is gone ---- */

static void test_gone(enum shape shape)
{
	live_and_die(shape, AT_REST);
	in_scratch("rm *.journal");
	expect_refused(shapes[shape], "is gone");

	live_and_die(shape, UNWRITTEN);
	in_scratch("rm *.journal");
	{
		const struct qcow_options options = plain_options();
		struct qcow_error error;
		struct qcow_image *image = try_open(&options, &error);

		if (!image)
			die("%s: nothing was written, but refused: %s",
			    shapes[shape], error.text);
		model_close(image);
	}
}

/* ---- the journal is damaged ---- */

static void test_damaged(enum shape shape)
{
	static const char *const damages[][2] = {
		{ "truncate -s 0 *.journal", "too short" },
		{ "truncate -s 4096 *.journal", "too short" },
		{ "truncate -s -4096 *.journal", "damaged" },
		{ "for f in *.journal; do dd if=/dev/zero of=$f bs=8 count=1 conv=notrunc status=none; done",
		  "damaged" },
	};

	for (size_t i = 0; i < sizeof(damages) / sizeof(*damages); i++) {
		live_and_die(shape, AT_REST);
		in_scratch(damages[i][0]);
		expect_refused(damages[i][0], damages[i][1]);
	}
}

/* ---- another file ---- */

/* The journal gets a new name: that of a new image with the old image's inode.
   A tmpfs never gives an inode number out again. */
static void rename_journals(const struct qcow_identity *old, const char *to)
{
	struct qcow_identity now;
	char *path = scratch_path(to);

	if (qcow_identify_path(path, &now))
		die("%s: cannot be identified", to);
	if (!now.birth)
		die("this file system knows of no births");
	must_run(
		"cd %s; for f in *-%llu-%llu.*; do mv $f $(echo $f | sed s/-%llu-/-%llu-/); done",
		scratch(), (unsigned long long)old->inode,
		(unsigned long long)old->birth, (unsigned long long)old->inode,
		(unsigned long long)now.inode);
	free(path);
}

static bool told_left;

static void note_left(void *opaque, const char *line)
{
	(void)opaque;
	told_left |= strstr(line, "deleted image") != NULL;
}

static void test_new_file(enum shape shape)
{
	struct qcow_options options = plain_options();
	struct qcow_identity old;
	struct qcow_error error;
	struct qcow_image *image;
	char *path = scratch_path("image");

	live_and_die(shape, AT_REST);
	if (qcow_identify_path(path, &old))
		die("%s: cannot be identified", path);
	in_scratch("rm image; qemu-img create -q -f qcow2 image 1M");
	rename_journals(&old, "image");
	options.notice = note_left;
	told_left = false;
	image = try_open(&options, &error);
	if (!image)
		die("a new image: refused: %s", error.text);
	if (!told_left)
		die("nothing is said of the deleted image's journal");
	expect_byte(image, 6 * PIECE, 0);
	write_piece(image, 0, 5);
	model_close(image);
	in_scratch(
		"qemu-img check -q image; ls *.journal >journals; test $(wc -l <journals) = 1");
	if (qcow_identify_path(path, &options.identity))
		die("%s: cannot be identified", path);
	options.identity.birth = old.birth;
	if (qcow_forget_journal(&options.identity, scratch()))
		die("the files that are left cannot be removed");
	expect_nothing_left();
	free(path);
}

/* tar and other programs make a new file. */
static void test_new_copy(void)
{
	live_and_die(VERSION_3, AT_REST);
	in_scratch("tar -cf tar copy; rm image; tar -xf tar; mv copy image");
	expect_refused("a copy as a new file", "copy");
}

/* ---- the clock ---- */

static void test_clock(enum shape shape)
{
	live_and_die(shape, AT_REST);
	set_clock_back();
	expect_replayed("the clock was set, at rest");

	live_and_die(shape, AT_REST);
	set_clock_back();
	in_scratch(happenings[3].command);
	expect_refused("the clock was set, another writer", "another");

	live_and_die(shape, IN_FLIGHT);
	set_clock_back();
	if (has_mark(shape))
		expect_replayed("the clock was set, with a mark");
	else
		expect_refused("the clock was set, in flight", "nothing tells");
}

int main(void)
{
	unsigned int count = 0;

	in_scratch("head -c 1M /dev/urandom >base");
	test_others();
	for (enum shape s = 0; s < NR_SHAPES; s++) {
		for (enum ending e = AT_REST; e <= IN_FLIGHT; e++)
			for (unsigned int h = 0;
			     h < sizeof(happenings) / sizeof(*happenings); h++)
				test_happening(s, e, &happenings[h]), count++;
		test_ghost(s);
		test_gone(s);
		test_damaged(s);
		if (s != DATA_FILE)
			test_new_file(s);
		test_clock(s);
	}
	test_slow();
	test_new_copy();
	printf("%u happenings\n", count);
	return 0;
}
