// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The ends of a record.  A death keeps all writes.  A loss of power keeps all
 * writes before the last sync; each sector that was written since then may hold
 * any of its versions.  The test tries three ways to draw these versions.
 *
 * Sanitizers look for other things than every step: TEST_STRIDE.
 */
#include "tests/engine/ends.h"

#define SECTOR 512u

/* The fate of sectors that no sync covers. */
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

/* synced is the disk at the last sync, which is before the step `first`. */
static void lose_power(const struct ends *ends, const struct disk *synced,
		       const struct step *first, const struct step *last,
		       struct random *random)
{
	bool sample = random_below(random, ends->power_sample) == 0;

	for (enum fate fate = 0; fate < NR_FATES; fate++) {
		struct disk disk;

		disk_copy(&disk, synced);
		for (const struct step *step = first; step <= last; step++)
			apply_sectors(&disk, step, fate, random);
		ends->power(&disk, last, sample);
		disk_free(&disk);
	}
}

void ends_judge(const struct ends *ends, const struct disk *base,
		const struct disk *record, struct random *random)
{
	const struct step *first = record->steps;
	struct disk now, synced;

	disk_copy(&now, base);
	disk_copy(&synced, base);
	for (unsigned int n = 0; n < record->nr_steps; n++) {
		const struct step *step = &record->steps[n];

		disk_apply(&now, step);
		if (n % stride() == 0) {
			ends->death(&now, step,
				    random_below(random, ends->death_sample) ==
					    0);
			lose_power(ends, &synced, first, step, random);
		}
		if (step->kind != STEP_SYNC)
			continue;
		disk_free(&synced);
		disk_copy(&synced, &now);
		first = step + 1;
	}
	disk_free(&now);
	disk_free(&synced);
}
