// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Loss of power at every sync (P2, P3).
 *
 * Scripts of random operations run on images of every kind, on a disk in memory
 * that records.  Between two syncs the disk may have written any of the sectors
 * that it was given, and none of the others: whole writes, some sectors of a
 * write, in any order.  So for each sync, the test draws subsets of the sectors
 * that the sync had to make durable.  Each sector holds its last version, an
 * earlier version, or the version from before.  The journal is gone.  Then
 *
 *	the image has no corruption, leaks at worst			(P3)
 *	each sector holds its flushed bytes, or later ones		(P2)
 *	the internal snapshot has not changed
 *
 * as programs see it that share nothing with the engine.  A sample of the
 * images is shown to qemu-img check.  The engine opens some of them, and writes
 * to them.  An image goes through several lives: one after a fresh start, one
 * after a death, whose journal is replayed, one after a loss of power.
 *
 * At the end the test must have gone every way through the engine (paths.h).
 *
 * usage: power [SUBSETS [SEED]]
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "tests/engine/loss.h"
#include "tests/engine/paths.h"
#include "tests/lib/disk.h"
#include "tests/lib/helpers.h"
#include "qcow/image.h"

#define SUBSETS	 10000u /* in all, by default */
#define PER_SYNC 4u

static struct {
	struct script script;
	struct random random;
	struct paths paths;
	struct loss loss;
	uint64_t lives;
} test;

static const char *options(void)
{
	return test.script.geometry->options;
}

static void must(int ret, const char *what)
{
	if (ret)
		die("%s: %s: %s", options(), what, strerror(-ret));
}

/* ---- lives ---- */

/* The disk is as the record leaves it: all earlier writes are durable. */
static void advance(struct disk *disk, struct disk *synced,
		    const struct window *window)
{
	for (const struct step *s = window->first; s < window->end; s++) {
		test.paths.seen[PATH_HOLE] += s->kind == STEP_PUNCH;
		disk_apply(disk, s);
	}
	paths_compare(&test.paths, &test.script, synced, disk);
	for (const struct step *s = window->first; s < window->end; s++)
		disk_apply(synced, s);
}

static void judge_record(const struct disk *base, const struct disk *record)
{
	const struct step *end = record->steps + record->nr_steps;
	struct window window = { .first = record->steps };
	struct disk disk, synced;

	disk_copy(&disk, base);
	disk_copy(&synced, base);
	for (const struct step *s = record->steps; s < end; s++) {
		if (s->kind != STEP_SYNC && s + 1 < end)
			continue;
		window.end = s;
		loss_judge(&test.loss, &disk, &synced, &window, s);
		advance(&disk, &synced, &window);
		window.first = s + 1;
	}
	disk_free(&disk);
	disk_free(&synced);
}

/* Leaves the disk as a loss of power at some sync may leave it. */
static void lose_power(struct disk *disk, const struct disk *record)
{
	unsigned int last = random_below(&test.random, record->nr_steps);
	struct window window = { .first = record->steps };

	for (unsigned int n = 0; n < last; n++) {
		if (record->steps[n].kind != STEP_SYNC)
			continue;
		window.end = &record->steps[n];
		for (; window.first < window.end; window.first++)
			disk_apply(disk, window.first);
	}
	window.end = &record->steps[last];
	loss_apply(&test.loss, disk, &window);
	loss_read(&test.loss, disk, false, test.script.before);
	test.script.durable = true;
}

/* Leaves disk and journal as a death at some step left them.  The stamps are
   those of a copy on which a life has gone on. */
static void die_somewhere(struct disk *disk, const struct disk *record)
{
	unsigned int last = random_below(&test.random, record->nr_steps);
	const struct step *step = &record->steps[last];
	struct disk copy;

	for (unsigned int n = 0; n <= last; n++)
		disk_apply(disk, &record->steps[n]);
	write_file(record->journal_path, step->journal, SCRIPT_JOURNAL);
	disk_copy(&copy, disk);
	must(qcow_close(script_open(&test.script, &copy, false)), "close");
	loss_read(&test.loss, &copy, false, test.script.before);
	test.script.durable = false;
	write_file(record->journal_path, step->journal, SCRIPT_JOURNAL);
	disk_free(&copy);
}

static void live(struct disk *record, bool after_loss)
{
	struct qcow_image *image;
	struct journal *journal;

	if (after_loss)
		must_run("rm -f %s/journals/*", scratch());
	/* The boot is the same.  So after a loss the engine must be forced to
	   do without the journal. */
	image = script_open(&test.script, record, after_loss);
	journal = &image->journal;
	test.paths.seen[PATH_REPLAY] += journal->end > journal->header->start;
	disk_record(record, scratch_find("journals/*.journal"));
	script_play(&test.script, record, image, &test.random);
}

/* The position where the ring stood at the end of the record. */
static void note_wrap(const struct disk *record)
{
	const struct journal_header *header =
		(void *)record->steps[record->nr_steps - 1].journal;

	if (header)
		test.paths.seen[PATH_WRAP] += header->start > header->words;
}

static void live_and_judge(struct disk *base, bool after_loss, bool dies)
{
	struct disk record;
	char *path;

	disk_copy(&record, base);
	live(&record, after_loss);
	test.lives++;
	test.paths.seen[PATH_AFTER_LOSS] += after_loss;
	note_wrap(&record);
	judge_record(base, &record);
	if (dies)
		die_somewhere(base, &record);
	else
		lose_power(base, &record);
	path = (char *)record.journal_path;
	disk_free(&record);
	free(path);
}

static void test_geometry(const struct geometry *geometry)
{
	char *path = scratch_path("image"), *raw = scratch_path("raw");
	struct disk base;

	paths_begin(&test.paths);
	script_create(&test.script, geometry, geometry_make(geometry, path));
	disk_load(&base, path);
	if (geometry->base == DEVICE)
		/* Losses of power leak, and a device does not grow. */
		disk_make_device(&base, 2u << 20);
	if (geometry->base == OVERLAY)
		test.loss.raw = read_file(raw, &test.loss.raw_size);
	live_and_judge(&base, false, true);
	live_and_judge(&base, false, false);
	live_and_judge(&base, true, false);
	must_run("rm -f %s/journals/*", scratch());
	free(test.loss.raw);
	test.loss.raw = NULL;
	test.loss.raw_size = 0;
	script_destroy(&test.script);
	disk_free(&base);
	free(path);
	free(raw);
}

int main(int argc, char **argv)
{
	/* Sanitizers look for other things than many subsets. */
	unsigned int per_sync = stride() > 1 ? 1 : PER_SYNC;
	uint64_t wanted = (uint64_t)SUBSETS * effort() * per_sync / PER_SYNC;
	uint64_t seed = argc > 2 ? strtoull(argv[2], NULL, 0) : 1;

	if (argc > 1)
		wanted = strtoull(argv[1], NULL, 0);
	test.loss.script = &test.script;
	test.loss.random = &test.random;
	test.loss.per_sync = per_sync;
	must_run("mkdir %s/journals", scratch());
	for (uint64_t n = 0; test.loss.subsets < wanted; n++) {
		test.random.state = seed + n;
		for (unsigned int g = 0; g < nr_geometries; g++)
			test_geometry(&geometries[g]);
	}
	printf("%lu losses of power at %lu syncs of %lu lives, seed %lu; qemu-img check saw %lu, the engine went on with %lu\n",
	       test.loss.subsets, test.loss.syncs, test.lives, seed,
	       test.loss.checked, test.loss.opened);
	paths_report(&test.paths);
	return 0;
}
