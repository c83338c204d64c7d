// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Images of which all agrees with the journal but one thing: each says whether
 * that one is looked at (R12).
 */
#include <stdlib.h>
#include <string.h>
#include "tests/engine/put-back.h"
#include "tests/lib/helpers.h"
#include "tests/lib/model.h"

/* Both lives came to the same generation; the names of the lives differ. */
static void test_other_life(void)
{
	live_and_die(VERSION_3, AT_REST);
	expect_replayed("the first life");
	live_again(AT_REST);
	in_scratch("cp -p image other");
	expect_replayed("the second life");
	live_again(AT_REST);
	in_scratch(
		"touch -r image times; cat other >image; touch -r times image");
	expect_refused("contents of an earlier life", "another life");
}

/* No table was written since, but data was, in place. */
static void test_same_generation(void)
{
	live_and_die(VERSION_3, AT_REST);
	in_scratch("cp late image");
	expect_refused("a copy of the same generation", "an older copy back");
}

/* The journal has the name of another file, that is the same else. */
static void test_other_file(void)
{
	struct qcow_identity old, new;
	char *path = scratch_path("image");

	live_and_die(VERSION_3, AT_REST);
	if (qcow_identify_path(path, &old))
		die("the image cannot be identified");
	in_scratch("cp -p image new; mv new image");
	if (qcow_identify_path(path, &new))
		die("the new image cannot be identified");
	must_run(
		"cd %s; for f in *-%llu-%llu.*; do mv $f $(echo $f | sed s/-%llu-%llu/-%llu-%llu/); done",
		scratch(), (unsigned long long)old.inode,
		(unsigned long long)old.birth, (unsigned long long)old.inode,
		(unsigned long long)old.birth, (unsigned long long)new.inode,
		(unsigned long long)new.birth);
	expect_refused("another file", "another image's");
	free(path);
}

/* Its time is one that a write of the dead server may have left. */
static void test_cut(void)
{
	live_and_die(VERSION_3, IN_FLIGHT);
	in_scratch("truncate -s -512 image");
	expect_refused("a shorter file", "another program");
}

static void test_data(void)
{
	live_and_die(DATA_FILE, AT_REST);
	in_scratch(
		"printf x | dd of=data bs=1 seek=900000 conv=notrunc status=none");
	expect_refused("a data file that was written to", "another program");
}

/* The inode is used again, for another file. */
static void test_birth(void)
{
	struct qcow_options options = plain_options();
	char *path = scratch_path("image");
	struct qcow_error error;
	struct qcow_image *image;

	make(VERSION_3);
	if (qcow_identify_path(path, &options.identity))
		die("the image cannot be identified");
	image = try_open(&options, &error);
	if (!image)
		die("the very file: %s", error.text);
	model_close(image);
	options.identity.birth++;
	if (try_open(&options, &error) || !strstr(error.text, "another file"))
		die("another file is taken: '%s'", error.text);
	free(path);
}

void test_others(void)
{
	test_birth();
	test_other_life();
	test_same_generation();
	test_other_file();
	test_cut();
	test_data();
}
