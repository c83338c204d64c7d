// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Death and power loss at every instant.
 *
 * A recording disk notes every write, sync and hole, and the journal after each
 * of them, while random operations run.  Then every step of the record is
 * made an end:
 *
 *	death	All written bytes are there, and so is the journal.  It is
 *		replayed.  Every acknowledged operation must be readable (P1),
 *		and all or none of each sector of the one in flight.  That one
 *		is issued again, every other time.  After a clean close the
 *		image has no corruption and no leak (P3).
 *	power	Of every sector written since the last sync, any version may
 *		be there.  There is no journal.  The image has no corruption,
 *		leaks at worst (P3), and everything flushed is readable (P2).
 *
 * Some runs go on from a death instead of a fresh image, with a journal that
 * was replayed.  Samples are shown to qemu-img check.
 *
 * usage: crash [SEED]
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "tests/engine/crash.h"
#include "tests/lib/helpers.h"
#include "tests/lib/judge.h"

#define LIVES 3

struct crash_test test;

const char *journal_path(void)
{
	if (!test.journal)
		test.journal = scratch_find("journals/*.journal");
	return test.journal;
}

void must(int ret, const char *what)
{
	if (ret)
		die("%s: %s: %s", test.script.geometry->options, what,
		    strerror(-ret));
}

struct qcow_image *open_disk(struct disk *disk, bool force)
{
	return script_open(&test.script, disk, force);
}

/* ---- lives ---- */

/* Random operations on the disk, recorded; the life ends without a close
   unless it is the last thing recorded. */
static void live(struct disk *disk, struct random *random)
{
	struct qcow_image *image = open_disk(disk, false);

	disk_record(disk, journal_path());
	script_play(&test.script, disk, image, random);
}

/* Leaves disk and journal as a death at a random step leaves them. */
static void die_somewhere(struct disk *disk, struct disk *record,
			  struct random *random)
{
	unsigned int last = random_below(random, record->nr_steps);
	const struct step *step = &record->steps[last];

	for (unsigned int n = 0; n <= last; n++)
		disk_apply(disk, &record->steps[n]);
	write_file(journal_path(), step->journal, SCRIPT_JOURNAL);
}

/* Learns the contents of a disk after a death: the next life begins with these.
   The test looks at a copy, so that the disk itself stays unrecovered. */
static void settle(const struct disk *disk)
{
	struct qcow_image *image;
	struct disk copy;
	uint8_t *journal;
	size_t size;

	disk_copy(&copy, disk);
	journal = read_file(journal_path(), &size);
	image = open_disk(&copy, false);
	read_stamps(image, test.script.before, "settling");
	must(qcow_close(image), "close");
	write_file(journal_path(), journal, size);
	free(journal);
	disk_free(&copy);
}

/* The offset of the refcount table in the header. */
static uint64_t table_of(const struct disk *disk)
{
	return load_be64(disk->bytes + HEADER_REFCOUNT_TABLE_OFFSET);
}

static void make_base(const struct geometry *geometry, struct disk *base)
{
	char *path = scratch_path("image");

	script_create(&test.script, geometry, geometry_make(geometry, path));
	disk_load(base, path);
	free(path);
	if (geometry->base == DEVICE)
		disk_make_device(base, 1u << 20);
}

static void test_geometry(const struct geometry *geometry, uint64_t seed)
{
	struct random random = { .state = seed };
	struct disk base;
	bool moved = false;

	make_base(geometry, &base);
	for (unsigned int n = 0; n < LIVES; n++) {
		struct disk record;

		disk_copy(&record, &base);
		live(&record, &random);
		moved |= table_of(&record) != table_of(&base);
		judge_steps(&base, &record, &random);
		die_somewhere(&base, &record, &random);
		settle(&base);
		test.script.durable = false;
		disk_free(&record);
	}
	if (geometry->base == NEARLY_FULL && !moved)
		die("%s: the refcount table did not move", geometry->options);
	script_destroy(&test.script);
	free(test.journal);
	test.journal = NULL;
	disk_free(&base);
}

int main(int argc, char **argv)
{
	uint64_t seed = argc > 1 ? strtoull(argv[1], NULL, 0) : 1;
	char *journals = scratch_path("journals");

	must_run("mkdir %s", journals);
	for (unsigned int n = 0; n < effort(); n++)
		for (unsigned int g = 0; g < nr_geometries; g++) {
			test_geometry(&geometries[g], seed + n);
			must_run("rm -f %s/*", journals);
		}
	printf("%lu deaths, %lu power losses, %lu qemu-img checks\n",
	       test.deaths, test.powers, test.checks);
	free(journals);
	return 0;
}
