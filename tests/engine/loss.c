// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A loss of power.  Between two syncs a disk may have written any of the
 * sectors that it was given, and none of the others: whole writes, some sectors
 * of a write, in any order.  Each sector holds its last version, an earlier
 * version, or the version from before.
 *
 * Some subsets are worth more than others: all but one sector, one sector
 * alone, whole writes.  So the test first draws the way in which it draws a
 * subset.
 */
#include <stdlib.h>
#include <string.h>
#include "qcow/qcow.h"
#include "tests/engine/loss.h"
#include "tests/lib/helpers.h"
#include "tests/lib/judge.h"
#include "tests/lib/qemu-check.h"
#include "tests/lib/sectors.h"

#define SECTOR	     512u
#define EACH_CHECKED 500u /* one of so many is shown to qemu-img */
#define EACH_OPENED  100u

static const char *options(const struct loss *loss)
{
	return loss->script->geometry->options;
}

static void must(const struct loss *loss, int ret, const char *what)
{
	if (ret)
		die("%s: %s: %s", options(loss), what, strerror(-ret));
}

void loss_read(const struct loss *loss, const struct disk *disk, bool snapshot,
	       uint32_t *stamps)
{
	static struct sectors sectors;
	uint8_t bytes[SECTOR];

	sectors_open(&sectors, disk->bytes, disk->size);
	sectors.under = loss->raw;
	sectors.under_size = loss->raw_size;
	if (snapshot)
		sectors_choose_snapshot(&sectors);
	for (uint64_t s = 0; s < loss->script->size / SECTOR; s++) {
		if (!sectors_read(&sectors, s, bytes))
			die("%s: sector %lu cannot be read", options(loss), s);
		stamps[s] = stamp_of(bytes, s, options(loss));
	}
}

static void check_snapshot(const struct loss *loss, const struct disk *disk,
			   uint32_t *stamps)
{
	if (loss->script->geometry->base != SNAPSHOT)
		return;
	loss_read(loss, disk, true, stamps);
	for (uint64_t s = 0; s < loss->script->size / SECTOR; s++)
		if (stamps[s] != STAMPED)
			die("%s: sector %lu of the snapshot holds operation %u",
			    options(loss), s, stamps[s]);
}

static unsigned int check_valid(const struct loss *loss,
				const struct disk *disk, const char *when)
{
	struct verdict verdict;

	judge(disk->bytes, disk->size, &verdict);
	if (verdict.corruptions)
		die("%s: %s: %u corruptions: %s", options(loss), when,
		    verdict.corruptions, verdict.first);
	return verdict.leaks;
}

/* A refcount may be left over, of a cluster behind the end of the file.  The
   leak is only seen when the file is longer. */
static unsigned int leaks_within(const struct loss *loss,
				 const struct disk *disk, size_t size)
{
	uint8_t last = 0;
	const struct step longer = {
		.kind = STEP_WRITE,
		.offset = size - 1,
		.length = 1,
		.bytes = &last,
	};
	struct disk grown;
	unsigned int leaks;

	disk_copy(&grown, disk);
	if (size > grown.size)
		disk_apply(&grown, &longer);
	leaks = check_valid(loss, &grown, "before a life");
	disk_free(&grown);
	return leaks;
}

/* The engine goes on with the disk that is left, and leaks no more. */
static void check_opened(struct loss *loss, const struct disk *disk,
			 uint32_t *stamps)
{
	static uint8_t bytes[SECTOR] __attribute__((aligned(4096)));
	struct qcow_image *image;
	struct disk copy;

	disk_copy(&copy, disk);
	loss_read(loss, &copy, false, stamps);
	must_run("rm -f %s/journals/*", scratch());
	image = script_open(loss->script, &copy, true);
	for (uint64_t s = 0; s < loss->script->size / SECTOR; s++) {
		must(loss, qcow_read(image, bytes, s * SECTOR, SECTOR), "read");
		if (stamp_of(bytes, s, options(loss)) != stamps[s])
			die("%s: the engine reads sector %lu otherwise",
			    options(loss), s);
	}
	for (uint64_t s = 0; s < loss->script->size / SECTOR; s += 16) {
		operation_stamp(bytes, 1, s);
		must(loss, qcow_write(image, bytes, s * SECTOR, SECTOR),
		     "write");
	}
	must(loss, qcow_close(image), "close");
	if (check_valid(loss, &copy, "after a life") >
	    leaks_within(loss, disk, copy.size))
		die("%s: a life after a loss of power leaks", options(loss));
	disk_free(&copy);
	loss->opened++;
}

static void check_loss(struct loss *loss, const struct disk *disk,
		       const struct step *step)
{
	static uint32_t *stamps;
	unsigned int low = script_flushed(loss->script, step->acked);

	stamps = realloc(stamps, loss->script->size / SECTOR * sizeof(*stamps));
	check_valid(loss, disk, "loss of power");
	loss_read(loss, disk, false, stamps);
	script_check(loss->script, stamps, low, step->begun, "loss of power");
	check_snapshot(loss, disk, stamps);
	loss->subsets++;
	/* A second judge, which is not ours: qemu-img check. */
	if (random_below(loss->random, EACH_CHECKED) == 0) {
		check_disk(disk, true, options(loss));
		loss->checked++;
	}
	/* The next open may find a journal that is still needed. */
	if (random_below(loss->random, EACH_OPENED) == 0)
		check_opened(loss, disk, stamps);
}

/* ---- subsets ---- */

/* The fate of the sectors that were written since the last sync. */
enum fate {
	ALL_LOST,
	ALL_KEPT,
	ONE_LOST,
	ONE_KEPT,
	WRITES, /* whole writes, by a coin */
	TORN,	/* the same, and one of them is cut in two */
	SECTORS,
	FEW,
	MOST,
	NR_FATES,
};

struct draw {
	enum fate fate;
	uint64_t picked; /* one sector of the window */
	uint64_t n;	 /* the next one */
	bool coin;	 /* of the write */
};

static uint64_t count_sectors(const struct window *window)
{
	uint64_t count = 0;

	for (const struct step *s = window->first; s < window->end; s++)
		count += div_round_up(s->length, SECTOR);
	return count;
}

static struct draw draw_fate(struct loss *loss, const struct window *window)
{
	return (struct draw){
		.fate = random_below(loss->random, NR_FATES),
		.picked = random_below(loss->random, count_sectors(window) + 1),
	};
}

static bool one_in(struct loss *loss, unsigned int n)
{
	return random_below(loss->random, n) == 0;
}

static bool is_kept(struct loss *loss, struct draw *draw)
{
	uint64_t n = draw->n++;

	switch (draw->fate) {
	case ALL_LOST:
		return false;
	case ALL_KEPT:
		return true;
	case ONE_LOST:
		return n != draw->picked;
	case ONE_KEPT:
		return n == draw->picked;
	case WRITES:
		return draw->coin;
	case TORN:
		if (n == draw->picked)
			draw->coin = !draw->coin;
		return draw->coin;
	case SECTORS:
		return one_in(loss, 2);
	case FEW:
		return one_in(loss, 8);
	default:
		return !one_in(loss, 8);
	}
}

static void apply_step(struct loss *loss, struct disk *disk,
		       const struct step *step, struct draw *draw)
{
	draw->coin = one_in(loss, 2);
	for (size_t at = 0; at < step->length; at += SECTOR) {
		struct step part = *step;

		part.offset += at;
		part.length = min_u64(SECTOR, step->length - at);
		part.bytes = step->bytes ? step->bytes + at : NULL;
		if (is_kept(loss, draw))
			disk_apply(disk, &part);
	}
}

static void undo(struct disk *disk, const struct disk *synced,
		 const struct window *window)
{
	for (const struct step *s = window->first; s < window->end; s++)
		if (s->offset < disk->capacity)
			memcpy(disk->bytes + s->offset,
			       synced->bytes + s->offset,
			       min_u64(s->length, disk->capacity - s->offset));
	disk->size = synced->size;
}

void loss_apply(struct loss *loss, struct disk *disk,
		const struct window *window)
{
	struct draw draw = draw_fate(loss, window);

	for (const struct step *s = window->first; s < window->end; s++)
		apply_step(loss, disk, s, &draw);
}

void loss_judge(struct loss *loss, struct disk *disk, const struct disk *synced,
		const struct window *window, const struct step *last)
{
	unsigned int count = count_sectors(window) ? loss->per_sync : 1;

	for (unsigned int i = 0; i < count; i++) {
		loss_apply(loss, disk, window);
		check_loss(loss, disk, last);
		undo(disk, synced, window);
	}
	loss->syncs++;
}
