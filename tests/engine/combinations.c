// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * All images that qemu-img can make, by combinations of features.  Every two
 * features that go together are together in some image (pairs.c).  A few more
 * images are made for other readers.  Each image is
 *
 *	read		through the engine, and by readers that are not ours
 *			(readers.c); all must read the same bytes as
 *			qemu-img convert
 *	written to	at random, by processes that die (dying-writers.c)
 *	judged		qemu-img check and our own find no error and no leak,
 *			qemu-img compare finds no difference; the layers under
 *			the image and its snapshots have not changed; its
 *			bitmaps are in use and can be removed, and so can a
 *			snapshot
 *	read again	by the other readers
 *
 * and has a line in a table.
 *
 * usage: combinations [SEED [NUMBER]]
 *
 * With TEST_WAYS=3 every three features meet, and so on up to all (13).
 * TEST_STRIDE=N takes every N-th image only, besides those for other readers.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "tests/engine/pairs.h"
#include "tests/engine/dying-writers.h"
#include "tests/engine/readers.h"
#include "qcow/qcow.h"

static struct {
	unsigned int images, deaths, torn, operations;
	unsigned int before[NR_READERS], after[NR_READERS];
} counts;

/* ---- parts that must not change ---- */

static void keep_layers(const struct recipe *recipe)
{
	for (unsigned int n = 0; n < recipe->nr_layers; n++)
		must_run("cp --sparse=always %s %s.before",
			 recipe->layers[n].path, recipe->layers[n].path);
}

static void compare_layers(const struct recipe *recipe)
{
	for (unsigned int n = 0; n < recipe->nr_layers; n++)
		if (run("qemu-img compare -q -f raw -F raw %s %s.before",
			recipe->layers[n].path, recipe->layers[n].path))
			die("%s: layer %u was written to", recipe->what, n);
}

static void keep_snapshots(const struct recipe *recipe, const char *when)
{
	for (unsigned int n = 1; n <= recipe->snapshots; n++)
		must_run("qemu-img convert -l %u -O raw %s %s/%s-%u", n,
			 recipe->path, recipe->directory, when, n);
}

static void compare_snapshots(const struct recipe *recipe)
{
	keep_snapshots(recipe, "after");
	for (unsigned int n = 1; n <= recipe->snapshots; n++)
		if (run("qemu-img compare -q -f raw -F raw %s/before-%u %s/after-%u",
			recipe->directory, n, recipe->directory, n))
			die("%s: snapshot %u has changed", recipe->what, n);
}

/* ---- judgement ---- */

static void check(const struct recipe *recipe, const char *when)
{
	if (run("qemu-img check -q %s", recipe->path))
		die("%s: %s: qemu-img check finds errors", recipe->what, when);
}

/* Our own check. */
static void check_ourselves(const struct recipe *recipe)
{
	const struct qcow_check_options options = {
		.journal_dir = scratch(),
	};
	struct qcow_error error = { "" };
	struct qcow_check result;

	if (qcow_check(recipe->path, &options, &result, &error))
		die("%s: check: %s", recipe->what, error.text);
	if (result.corruptions || result.leaks || result.check_errors)
		die("%s: our check finds %lu corruptions, %lu leaks",
		    recipe->what, result.corruptions, result.leaks);
}

static void compare_contents(const struct recipe *recipe,
			     const struct contents *contents)
{
	if (run("qemu-img compare -q -f qcow2 -F raw %s %s", recipe->path,
		contents->path))
		die("%s: qemu-img compare finds a difference", recipe->what);
	if (recipe_value(recipe, AXIS_DATA_FILE) == DATA_FILE_RAW &&
	    run("qemu-img compare -q -f raw -F raw %s %s", recipe->data_path,
		contents->path))
		die("%s: the raw data file is not the disk", recipe->what);
}

static void remove_bitmaps(const struct recipe *recipe)
{
	if (!recipe_value(recipe, AXIS_BITMAPS))
		return;
	if (run("test $(qemu-img info --output=json %s | grep -c in-use) = 2",
		recipe->path))
		die("%s: the bitmaps are not in use", recipe->what);
	must_run(
		"qemu-img bitmap --remove %s one && qemu-img bitmap --remove %s two",
		recipe->path, recipe->path);
	check(recipe, "without bitmaps");
}

static void remove_snapshot(const struct recipe *recipe)
{
	if (!recipe->snapshots)
		return;
	must_run("qemu-img snapshot -d 1 %s", recipe->path);
	check(recipe, "without a snapshot");
}

/* ---- one image ---- */

/* Puts the first letter of each reader that could read the image. */
static void read_by_others(const struct recipe *recipe,
			   const struct contents *contents,
			   unsigned int count[NR_READERS], char *letters)
{
	for (enum reader r = 0; r < NR_READERS; r++) {
		bool did = reader_read(r, recipe, contents);

		count[r] += did;
		*letters++ = did ? reader_names[r][0] : '-';
	}
	*letters = 0;
}

/* The bytes that the image holds, read by qemu-img. */
static void find_contents(const struct recipe *recipe,
			  struct contents *contents)
{
	char *path = scratch_path("contents");

	must_run("qemu-img convert -f qcow2 -O raw %s %s", recipe->path, path);
	contents_open(contents, path);
	free(path);
}

static void test_image(const struct recipe *recipe)
{
	char before[NR_READERS + 1], after[NR_READERS + 1];
	struct contents contents;
	struct dying_writers lives = {
		.path = recipe->path,
		.what = recipe->what,
		.contents = &contents,
		.random = recipe->random,
		.reissue = recipe_value(recipe, AXIS_DATA_FILE) ==
			   DATA_FILE_RAW,
	};

	find_contents(recipe, &contents);
	keep_layers(recipe);
	keep_snapshots(recipe, "before");
	read_by_others(recipe, &contents, counts.before, before);
	dying_compare(&lives);
	dying_run(&lives);
	check(recipe, "written to");
	check_ourselves(recipe);
	compare_contents(recipe, &contents);
	compare_layers(recipe);
	compare_snapshots(recipe);
	read_by_others(recipe, &contents, counts.after, after);
	remove_bitmaps(recipe);
	remove_snapshot(recipe);
	contents_close(&contents);
	counts.images++;
	counts.deaths += lives.deaths;
	counts.torn += lives.torn;
	counts.operations += lives.operations;
	axes_print(stdout, &recipe->combination);
	printf("%-6s %s\n", before, after);
}

/* ---- all of them ---- */

static unsigned int number_from(const char *name, unsigned int fallback)
{
	const char *text = getenv(name);
	int n = text ? atoi(text) : 0;

	return n > 0 ? (unsigned int)n : fallback;
}

/* The images that are tested. */
struct choice {
	uint64_t seed;
	unsigned int only; /* this one; 0: all */
	unsigned int next; /* number */
};

/* Tests the chosen image, or every `stride`-th image. */
static void test_cover(const struct axes *axes, unsigned int ways,
		       unsigned int stride, struct choice *choice)
{
	struct random random = { .state = choice->seed };
	struct combination *chosen;
	unsigned int count = pairs_make(axes, ways, &random, &chosen);

	for (unsigned int n = 0; n < count; n++) {
		unsigned int number = choice->next++;
		struct recipe recipe;

		if (choice->only ? number != choice->only : number % stride)
			continue;
		printf("%5u  ", number);
		recipe_make(&recipe, &chosen[n], number, choice->seed);
		test_image(&recipe);
		recipe_remove(&recipe);
	}
	free(chosen);
}

static void print_counts(void)
{
	printf("%u images, %u deaths, %u of them within an operation, of %u operations\n",
	       counts.images, counts.deaths, counts.torn, counts.operations);
	printf("read before and after: qemu-img %u %u", counts.images,
	       counts.images);
	for (enum reader r = 0; r < NR_READERS; r++)
		printf(", %s %u %u", reader_names[r], counts.before[r],
		       counts.after[r]);
	printf("\n");
}

/* A reader that reads nothing judges nothing. */
static void check_counts(void)
{
	for (enum reader r = 0; r < NR_READERS; r++)
		if (!counts.before[r] || !counts.after[r])
			die("%s has read no image", reader_names[r]);
	if (!counts.torn)
		die("nothing died within an operation");
}

int main(int argc, char **argv)
{
	struct choice choice = {
		.seed = argc > 1 ? strtoull(argv[1], NULL, 0) : 1,
		.only = argc > 2 ? strtoul(argv[2], NULL, 0) : 0,
		.next = 1,
	};

	printf("       ");
	axes_print_names(stdout);
	printf("before after\n");
	for (unsigned int n = 0; n < effort(); n++) {
		test_cover(&plain_axes, 1, 1, &choice);
		test_cover(&image_axes, number_from("TEST_WAYS", 2),
			   number_from("TEST_STRIDE", 1), &choice);
		choice.seed++;
	}
	print_counts();
	if (!choice.only)
		check_counts();
	return 0;
}
