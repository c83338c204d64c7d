// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Death and power loss at every instant of a repair.
 *
 * Small images are broken in each way (lib/breakages.c) and repaired on a
 * recording disk.  The test looks at the image after every step of the record.
 * It also looks at the image after a loss of any part of the bytes that were
 * written since the last sync.  The image must not be more corrupt than before
 * the repair, and the guest must see the same bytes.  Another repair must come
 * to as good an end as the one that was cut off.  If the image cannot grow, a
 * repair may fail for want of space, but must not do worse.
 *
 * usage: check-crash [SEED]
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "qcow/qcow.h"
#include "tests/lib/breakages.h"
#include "tests/lib/disk.h"
#include "tests/lib/helpers.h"
#include "tests/lib/judge.h"

#define SECTOR 512u

static const struct geometry {
	const char *options; /* of qemu-img create */
	const char *size;
	bool snapshot;
	enum medium {
		FILE_SYSTEM,
		FULL_FILE_SYSTEM,
		DEVICE,
		FULL_DEVICE,
	} medium;
} geometries[] = {
	{ "cluster_size=512,refcount_bits=64", "100k", false, FILE_SYSTEM },
	{ "cluster_size=4k", "4M", false, FILE_SYSTEM },
	{ "cluster_size=4k", "4M", true, FILE_SYSTEM },
	{ "cluster_size=16k,extended_l2=on", "4M", false, FILE_SYSTEM },
	{ "cluster_size=4k", "4M", true, FULL_FILE_SYSTEM },
	{ "cluster_size=4k", "4M", true, DEVICE },
	{ "cluster_size=512,refcount_bits=64", "100k", false, DEVICE },
	{ "cluster_size=4k", "4M", true, FULL_DEVICE },
};

static struct {
	const char *what;
	char *path; /* for the locks; the disk has the bytes */
	enum content content;
	uint64_t sectors;
	uint8_t *seen; /* by the guest, before the repair */
	unsigned int corruptions, corruptions_after;
	bool full; /* the image cannot grow */
	struct random random;
	unsigned long deaths, powers, nospace;
} test;

static struct verdict verdict_of(const struct disk *disk)
{
	struct verdict verdict;

	judge(disk->bytes, disk->size, &verdict);
	return verdict;
}

static void repair(struct disk *disk)
{
	struct qcow_check_options options = {
		.repair = QCOW_REPAIR_ALL,
		.journal_dir = scratch(),
		.test = &disk->hooks,
		/* More than one window. */
		.memory = random_below(&test.random, 2),
	};
	struct qcow_check result;
	struct qcow_error error;

	int ret = qcow_check(test.path, &options, &result, &error);

	if (ret == -ENOSPC && test.full && strstr(error.text, "needs space"))
		test.nospace++;
	else if (ret)
		die("%s: %s", test.what, error.text);
}

static const uint8_t unreadable[SECTOR] = "unreadable";

static void look(const struct disk *disk, uint8_t *seen)
{
	for (uint64_t s = 0; s < test.sectors; s++)
		if (!judge_read(disk->bytes, disk->size, s, seen + s * SECTOR))
			memcpy(seen + s * SECTOR, unreadable, SECTOR);
}

/* A sector that could not be read before may hold anything now. */
static bool is_same(const uint8_t *before, const uint8_t *after)
{
	for (uint64_t s = 0; s < test.sectors;
	     s++, before += SECTOR, after += SECTOR)
		if (memcmp(before, after, SECTOR) &&
		    memcmp(before, unreadable, SECTOR))
			return false;
	return true;
}

static void judge_state(const struct disk *state, const char *where)
{
	struct verdict verdict = verdict_of(state);
	uint8_t *seen = malloc(test.sectors * SECTOR);

	if (verdict.corruptions > test.corruptions)
		die("%s: %s: %u corruptions, %u before: %s", test.what, where,
		    verdict.corruptions, test.corruptions, verdict.first);
	look(state, seen);
	if (test.content != CONTENT_METADATA && !is_same(test.seen, seen))
		die("%s: %s: the guest sees something else", test.what, where);
	free(seen);
}

static void repair_again(const struct disk *state)
{
	struct verdict verdict;
	struct disk disk;

	disk_copy(&disk, state);
	repair(&disk);
	verdict = verdict_of(&disk);
	if (verdict.corruptions > test.corruptions_after)
		die("%s: %u corruptions after the second repair, %u after an undisturbed one: %s",
		    test.what, verdict.corruptions, test.corruptions_after,
		    verdict.first);
	disk_free(&disk);
}

/* Loses some of the sectors that were written since the last sync. */
static void lose(struct disk *disk, const struct step *step)
{
	for (size_t at = 0; at < step->length; at += SECTOR) {
		struct step part = *step;

		part.offset += at;
		part.bytes += at;
		part.length = min_u64(SECTOR, step->length - at);
		if (random_below(&test.random, 2))
			disk_apply(disk, &part);
	}
}

static void judge_power(const struct disk *synced, const struct step *steps,
			unsigned int first, unsigned int last)
{
	struct disk disk;

	disk_copy(&disk, synced);
	for (unsigned int n = first; n <= last; n++)
		if (steps[n].kind == STEP_WRITE)
			lose(&disk, &steps[n]);
	judge_state(&disk, "power loss");
	test.powers++;
	if (!random_below(&test.random, 8))
		repair_again(&disk);
	disk_free(&disk);
}

static void judge_steps(const struct disk *broken, const struct disk *record)
{
	struct disk now, synced;
	unsigned int first = 0;

	disk_copy(&now, broken);
	disk_copy(&synced, broken);
	for (unsigned int n = 0; n < record->nr_steps; n++) {
		disk_apply(&now, &record->steps[n]);
		judge_state(&now, "death");
		test.deaths++;
		judge_power(&synced, record->steps, first, n);
		if (record->steps[n].kind != STEP_SYNC)
			continue;
		disk_free(&synced);
		disk_copy(&synced, &now);
		first = n + 1;
	}
	disk_free(&now);
	disk_free(&synced);
}

static void test_broken(const struct disk *broken)
{
	struct disk record;

	test.corruptions = verdict_of(broken).corruptions;
	test.seen = malloc(test.sectors * SECTOR);
	look(broken, test.seen);
	disk_copy(&record, broken);
	disk_record(&record, NULL);
	repair(&record);
	test.corruptions_after = verdict_of(&record).corruptions;
	judge_steps(broken, &record);
	disk_free(&record);
	free(test.seen);
}

static void test_breakage(const struct geometry *geometry,
			  const struct breakage *breakage,
			  const struct disk *sound)
{
	struct disk broken;
	char what[160];

	snprintf(what, sizeof(what), "%s: %s", geometry->options,
		 breakage->name);
	test.what = what;
	test.content = breakage->content;
	disk_copy(&broken, sound);
	if (breakage->poke(broken.bytes, broken.size))
		test_broken(&broken);
	disk_free(&broken);
}

static void put_on_medium(struct disk *disk, enum medium medium)
{
	test.full = medium == FULL_FILE_SYSTEM || medium == FULL_DEVICE;
	if (medium == FULL_FILE_SYSTEM)
		disk->limit = disk->size;
	else if (medium != FILE_SYSTEM)
		disk_make_device(disk, test.full ? 0 : 256u << 10);
}

static void test_geometry(const struct geometry *geometry)
{
	struct disk sound;

	test.path = scratch_path("image");
	must_run("qemu-img create -q -f qcow2 -o %s %s %s", geometry->options,
		 test.path, geometry->size);
	must_run(
		"qemu-io -c 'write -q -P 7 0 20k' -c 'write -q -P 8 40k 8k' %s",
		test.path);
	if (geometry->snapshot)
		must_run("qemu-img snapshot -c a %s", test.path);
	disk_load(&sound, test.path);
	put_on_medium(&sound, geometry->medium);
	test.sectors = load_be64(sound.bytes + HEADER_SIZE) / SECTOR;
	for (unsigned int b = 0; b < nr_breakages; b++)
		test_breakage(geometry, &breakages[b], &sound);
	disk_free(&sound);
	free(test.path);
}

int main(int argc, char **argv)
{
	test.random.state = argc > 1 ? strtoull(argv[1], NULL, 0) : 1;
	for (unsigned int n = 0; n < effort(); n++)
		for (unsigned int g = 0; g < ARRAY_SIZE(geometries); g++)
			test_geometry(&geometries[g]);
	printf("%lu deaths, %lu power losses, %lu without space\n", test.deaths,
	       test.powers, test.nospace);
	return test.nospace ? 0 : 1;
}
