// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The judgement on each step of a record: as a death, and as a power loss in
 * three ways.  A model of the operations says which stamps a sector may have.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "tests/engine/crash.h"
#include "tests/lib/helpers.h"
#include "tests/lib/judge.h"

void read_stamps(struct qcow_image *image, uint32_t *stamps, const char *where)
{
	uint8_t *bytes = aligned_alloc(4096, round_up(test.script.size, 4096));

	must(qcow_read(image, bytes, 0, test.script.size), "read");
	for (uint64_t s = 0; s < test.script.size / SECTOR; s++)
		stamps[s] = stamp_of(bytes + s * SECTOR, s, where);
	free(bytes);
}

/* ---- judgement ---- */

static void read_raw_stamps(const struct disk *disk, uint32_t *stamps,
			    const char *where)
{
	for (uint64_t s = 0; s < test.script.size / SECTOR; s++) {
		uint8_t bytes[SECTOR];

		judge_read(disk->bytes, disk->size, s, bytes);
		stamps[s] = stamp_of(bytes, s, where);
	}
}

/* What the judge cannot read: through the engine, without a journal. */
static void read_layered_stamps(const struct disk *disk, uint32_t *stamps,
				const char *where)
{
	struct qcow_image *image;
	struct disk copy;

	disk_copy(&copy, disk);
	unlink(journal_path());
	image = open_disk(&copy, true);
	read_stamps(image, stamps, where);
	must(qcow_close(image), "close");
	disk_free(&copy);
}

static void check_image(const struct disk *disk, bool leaks_allowed,
			unsigned int high, unsigned int low, const char *where)
{
	uint32_t *stamps = script_new_stamps(&test.script);
	struct verdict verdict;

	judge(disk->bytes, disk->size, &verdict);
	if (verdict.corruptions || (verdict.leaks && !leaks_allowed))
		die("%s: %s: %u corruptions, %u leaks: %s",
		    test.script.geometry->options, where, verdict.corruptions,
		    verdict.leaks, verdict.first);
	if (test.script.geometry->base >= COMPRESSED)
		read_layered_stamps(disk, stamps, where);
	else
		read_raw_stamps(disk, stamps, where);
	script_check(&test.script, stamps, low, high, where);
	free(stamps);
}

/* The oracle that is not ours. */
static void check_qemu(const struct disk *disk, bool leaks_allowed)
{
	char *path = scratch_path("sample");
	int status;

	disk_save(disk, path);
	status = run("qemu-img check -q %s >/dev/null 2>&1", path);
	if (status && !(leaks_allowed && status == 3))
		die("%s: qemu-img check: status %d, see %s",
		    test.script.geometry->options, status, path);
	test.checks++;
	free(path);
}

static void judge_death(const struct disk *state, const struct step *step,
			bool sample)
{
	uint32_t *stamps = script_new_stamps(&test.script);
	unsigned int low = step->acked;
	struct qcow_image *image;
	struct disk disk;

	disk_copy(&disk, state);
	write_file(journal_path(), step->journal, SCRIPT_JOURNAL);
	image = open_disk(&disk, false);
	read_stamps(image, stamps, "death");
	script_check(&test.script, stamps, step->acked, step->begun, "death");
	if (step->begun > step->acked && test.deaths % 2) {
		must(operation_do(&test.script.operations[step->acked], image,
				  true, &disk.hooks),
		     "reissue");
		low = step->begun;
	}
	must(qcow_close(image), "close");
	check_image(&disk, false, step->begun, low, "death, close");
	/* Nothing of us is left that the next open would ask about. */
	must(qcow_close(open_disk(&disk, false)), "second close");
	if (sample)
		check_qemu(&disk, false);
	test.deaths++;
	free(stamps);
	disk_free(&disk);
}

static void check_power(struct disk *disk, const struct step *step, bool sample)
{
	unsigned int low = script_flushed(&test.script, step->acked);

	check_image(disk, true, step->begun, low, "power loss");
	if (sample)
		check_qemu(disk, true);
	test.powers++;
}

/* How an unsynced sector fares. */
enum fate {
	ALL_LOST,
	LAST_WRITES_LOST, /* some writes, whole */
	TORN,		  /* some sectors of some writes */
	NR_FATES,
};

static bool survives(enum fate fate, struct random *random, uint64_t coin)
{
	switch (fate) {
	case ALL_LOST:
		return false;
	case LAST_WRITES_LOST:
		return coin & 1;
	default:
		return random_below(random, 2);
	}
}

static void apply_sectors(struct disk *disk, const struct step *step,
			  enum fate fate, struct random *random)
{
	uint64_t coin = random_next(random);

	for (size_t at = 0; at < step->length; at += SECTOR) {
		struct step part = *step;

		part.offset += at;
		part.length = min_u64(SECTOR, step->length - at);
		part.bytes = step->bytes ? step->bytes + at : NULL;
		if (survives(fate, random, coin))
			disk_apply(disk, &part);
	}
}

/* synced: the disk at the last sync, which is step first. */
static void judge_power(const struct disk *synced, const struct step *steps,
			unsigned int first, unsigned int last,
			struct random *random, bool sample)
{
	for (enum fate fate = 0; fate < NR_FATES; fate++) {
		struct disk disk;

		disk_copy(&disk, synced);
		for (unsigned int n = first; n <= last; n++)
			apply_sectors(&disk, &steps[n], fate, random);
		check_power(&disk, &steps[last], sample);
		disk_free(&disk);
	}
}

/* Sanitizers look for other things than every step. */
void judge_steps(const struct disk *base, const struct disk *record,
		 struct random *random)
{
	struct disk now, synced;
	unsigned int first = 0;

	disk_copy(&now, base);
	disk_copy(&synced, base);
	for (unsigned int n = 0; n < record->nr_steps; n++) {
		const struct step *step = &record->steps[n];

		disk_apply(&now, step);
		if (n % stride() == 0) {
			judge_death(&now, step, random_below(random, 100) == 0);
			judge_power(&synced, record->steps, first, n, random,
				    random_below(random, 300) == 0);
		}
		if (step->kind != STEP_SYNC)
			continue;
		disk_free(&synced);
		disk_copy(&synced, &now);
		first = n + 1;
	}
	disk_free(&now);
	disk_free(&synced);
}
