// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Death and power loss at every instant.
 *
 * A recording disk takes down every write, sync and hole, and the journal
 * after each of them, while random operations run.  Then every step of the
 * record is made an end:
 *
 *   death	what was written is there, and so is the journal.  It is
 *		replayed; every acknowledged operation must be readable (P1),
 *		the one in flight all or none of each sector; it is issued
 *		again, every other time; after a clean close the image has no
 *		corruption and no leak (P3).
 *   power	of every sector written since the last sync, any version may
 *		be there; no journal.  No corruption, leaks at worst (P3), and
 *		everything flushed is readable (P2).
 *
 * Some runs go on from a death instead of a fresh image, with a journal that
 * was replayed.  Samples are shown to qemu-img check.
 *
 * usage: crash [SEED]
 */
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "tests/engine/crash.h"
#include "tests/lib/helpers.h"
#include "tests/lib/judge.h"

#define LIVES 3

static const struct geometry geometries[] = {
	{ "cluster_size=512", 512, "96K", EMPTY },
	{ "cluster_size=512,refcount_bits=64", 512, "200K", EMPTY },
	{ "cluster_size=512,refcount_bits=64", 512, "5200K", NEARLY_FULL },
	{ "cluster_size=512,refcount_bits=1", 512, "65024", EMPTY },
	{ "cluster_size=1024,compat=0.10", 1024, "100K", EMPTY },
	{ "cluster_size=4096", 4096, "300K", EMPTY },
	{ "cluster_size=4096,refcount_bits=64", 4096, "3000384", EMPTY },
	{ "cluster_size=4096,preallocation=metadata", 4096, "256K", EMPTY },
	{ "cluster_size=65536", 65536, "1M", EMPTY },
	{ "cluster_size=65536,compat=0.10,preallocation=full", 65536, "640K",
	  EMPTY },
	{ "cluster_size=16384,extended_l2=on", 16384, "500K", EMPTY },
	{ "cluster_size=16384,extended_l2=on", 16384, "300K", OVERLAY },
	{ "cluster_size=16384,extended_l2=on", 16384, "300K", SNAPSHOT },
	{ "cluster_size=4096", 4096, "200K", COMPRESSED },
	{ "cluster_size=1024,compat=0.10", 1024, "90K", COMPRESSED },
	{ "cluster_size=512", 512, "70K", SNAPSHOT },
	{ "cluster_size=4096", 4096, "200K", SNAPSHOT },
	{ "cluster_size=4096", 4096, "190K", OVERLAY },
	{ "cluster_size=512,compat=0.10", 512, "70K", OVERLAY },
	{ "cluster_size=512", 512, "70K", DEVICE },
	{ "cluster_size=32768,extended_l2=on", 32768, "600K", DEVICE },
};

struct crash_test test;

const char *journal_path(void)
{
	glob_t found;

	if (test.journal)
		return test.journal;
	test.journal = scratch_path("journals/*.journal");
	if (glob(test.journal, 0, NULL, &found) || found.gl_pathc != 1)
		die("there is no journal, or more than one");
	free(test.journal);
	test.journal = strdup(found.gl_pathv[0]);
	globfree(&found);
	return test.journal;
}

void must(int ret, const char *what)
{
	if (ret)
		die("%s: %s: %s", test.geometry->options, what, strerror(-ret));
}

struct qcow_image *open_disk(struct disk *disk, bool force)
{
	struct qcow_error error = { "" };
	struct qcow_image *image;
	char *journals = scratch_path("journals");
	char *path = scratch_path("image");
	struct qcow_options options = {
		.journal_dir = journals,
		.journal_size = JOURNAL_SIZE,
		.inline_checkpoint = true,
		.force = force,
		.test = &disk->hooks,
	};

	if (qcow_open(path, &options, &image, &error))
		die("%s: open: %s", test.geometry->options, error.text);
	free(journals);
	free(path);
	return image;
}

/* ---- lives ---- */

/* Random operations on the disk, recorded; the life ends without a close
   unless it is the last thing recorded. */
static void live(struct disk *disk, struct random *random)
{
	struct qcow_image *image = open_disk(disk, false);

	disk_record(disk, journal_path());
	for (unsigned int n = 0; n < OPERATIONS; n++) {
		struct operation *operation = &test.operations[n];

		operation_draw(operation, n + 1, random, test.size,
			       test.geometry->cluster, false);
		disk->begun = n + 1;
		must(operation_do(operation, image, random_below(random, 2),
				  &disk->hooks),
		     "operation");
		disk->acked = n + 1;
	}
	must(qcow_close(image), "close");
}

/* Leaves disk and journal as a death at a random step left them. */
static void die_somewhere(struct disk *disk, struct disk *record,
			  struct random *random)
{
	unsigned int last = random_below(random, record->nr_steps);
	const struct step *step = &record->steps[last];

	for (unsigned int n = 0; n <= last; n++)
		disk_apply(disk, &record->steps[n]);
	write_file(journal_path(), step->journal, JOURNAL_SIZE);
}

/* What a disk holds that was left so: the next life begins with that.  A
   copy is looked at; the disk itself stays unrecovered. */
static void settle(const struct disk *disk)
{
	struct qcow_image *image;
	struct disk copy;
	uint8_t *journal;
	size_t size;

	disk_copy(&copy, disk);
	journal = read_file(journal_path(), &size);
	image = open_disk(&copy, false);
	read_stamps(image, test.before, "settling");
	must(qcow_close(image), "close");
	write_file(journal_path(), journal, size);
	free(journal);
	disk_free(&copy);
}

/* Where the header says that the refcount table is. */
static uint64_t table_of(const struct disk *disk)
{
	return load_be64(disk->bytes + HEADER_REFCOUNT_TABLE_OFFSET);
}

/* A raw file whose sectors carry a stamp of before all operations. */
static void make_stamped(const char *path, uint64_t size)
{
	uint64_t *words = malloc(size);

	for (uint64_t i = 0; i < size / 8; i++)
		words[i] = (uint64_t)STAMPED << 32 | (i * 8 / SECTOR + 1);
	write_file(path, words, size);
	free(words);
}

static void create_image(const char *path)
{
	const struct geometry *geometry = test.geometry;
	char *raw = scratch_path("raw");

	must_run("rm -f %s", path);
	must_run("qemu-img create -q -f raw %s %s", raw, geometry->size);
	free(read_file(raw, &test.size));
	if (geometry->base >= COMPRESSED)
		make_stamped(raw, test.size);
	if (geometry->base == COMPRESSED || geometry->base == SNAPSHOT)
		must_run("qemu-img convert -f raw %s -O qcow2 -o %s %s %s",
			 geometry->base == COMPRESSED ? "-c" : "",
			 geometry->options, raw, path);
	else if (geometry->base == OVERLAY)
		must_run("qemu-img create -q -f qcow2 -o %s -b %s -F raw %s",
			 geometry->options, raw, path);
	else
		must_run("qemu-img create -q -f qcow2 -o %s %s %s",
			 geometry->options, path, geometry->size);
	if (geometry->base == SNAPSHOT)
		must_run("qemu-img snapshot -c one %s", path);
	if (geometry->base == NEARLY_FULL)
		must_run("qemu-io -c 'write -q -P 0 0 1960K' %s", path);
	free(raw);
}

static void make_base(struct disk *base)
{
	char *path = scratch_path("image");

	create_image(path);
	disk_load(base, path);
	free(path);
	if (test.geometry->base == DEVICE)
		disk_make_device(base, 1u << 20);
	test.before = new_stamps();
	test.after = new_stamps();
	if (test.geometry->base < COMPRESSED)
		return;
	for (uint64_t s = 0; s < test.size / SECTOR; s++)
		test.before[s] = STAMPED;
}

static void test_geometry(const struct geometry *geometry, uint64_t seed)
{
	struct random random = { .state = seed };
	struct disk base;
	bool moved = false;

	test.geometry = geometry;
	make_base(&base);
	test.fresh = true;
	for (unsigned int n = 0; n < LIVES; n++) {
		struct disk record;

		test.known = OPERATIONS + 1;
		disk_copy(&record, &base);
		live(&record, &random);
		moved |= table_of(&record) != table_of(&base);
		judge_steps(&base, &record, &random);
		die_somewhere(&base, &record, &random);
		settle(&base);
		test.fresh = false;
		disk_free(&record);
	}
	if (geometry->base == NEARLY_FULL && !moved)
		die("%s: the refcount table did not move", geometry->options);
	free(test.before);
	free(test.after);
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
		for (unsigned int g = 0; g < ARRAY_SIZE(geometries); g++) {
			test_geometry(&geometries[g], seed + n);
			must_run("rm -f %s/*", journals);
		}
	printf("%lu deaths, %lu power losses, %lu qemu-img checks\n",
	       test.deaths, test.powers, test.checks);
	free(journals);
	return 0;
}
