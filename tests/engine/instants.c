// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A write reaches the disk when its call begins, or when the call is about to
 * end, and other threads go on in between.  So at an instant some writes are
 * under way.  After a death each of them lands or does not, before the next
 * process begins (R14).  After a loss of power each of their sectors lands or
 * does not.
 *
 * A sync makes durable every write that had ended when the sync began.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "tests/engine/instants.h"
#include "tests/lib/scheduler.h"
#include "qcow/image.h"

#define SECTOR 512u

/* The instants under test; an event of the engine's names the disk alone. */
static struct instants *running;

/* Notes the moments of the steps that the last call made. */
static void note_steps(unsigned int began)
{
	struct disk *disk = &running->disk;
	const struct journal *journal;
	struct moment *moment;

	if (!disk->recording || !running->image)
		return;
	assert(disk->nr_steps <= INSTANTS_MAX);
	journal = &running->image->journal;
	moment = &running->moments[disk->nr_steps - 1];
	moment->time = *running->clock;
	moment->began = began;
	moment->ended = 0;
	memcpy(moment->journal, journal->header, INSTANT_JOURNAL);
}

static void end_step(unsigned int step)
{
	if (running->disk.recording)
		running->moments[step].ended = running->disk.nr_steps;
}

static int read_slowly(void *opaque, void *buffer, uint64_t offset,
		       size_t length)
{
	struct disk *disk = opaque;
	int ret;

	scheduler_yield();
	ret = disk->hooks.ops->read(disk, buffer, offset, length);
	scheduler_yield();
	return ret;
}

/* The write reaches the disk early or late. */
static int write_slowly(void *opaque, const void *buffer, uint64_t offset,
			size_t length)
{
	struct disk *disk = opaque;
	unsigned int began = disk->nr_steps, step;
	bool early = scheduler_draw(2);
	int ret;

	if (!early)
		scheduler_yield();
	ret = disk->hooks.ops->write(disk, buffer, offset, length);
	step = disk->nr_steps - 1;
	if (!ret)
		note_steps(began);
	if (early)
		scheduler_yield();
	if (!ret)
		end_step(step);
	return ret;
}

static int sync_slowly(void *opaque)
{
	struct disk *disk = opaque;
	unsigned int began = disk->nr_steps;
	int ret;

	scheduler_yield();
	ret = disk->hooks.ops->sync(disk);
	if (!ret) {
		note_steps(began);
		end_step(disk->nr_steps - 1);
	}
	scheduler_yield();
	return ret;
}

static int punch_slowly(void *opaque, uint64_t offset, uint64_t length)
{
	struct disk *disk = opaque;
	unsigned int began = disk->nr_steps;
	int ret;

	scheduler_yield();
	ret = disk->hooks.ops->punch(disk, offset, length);
	if (!ret) {
		note_steps(began);
		end_step(disk->nr_steps - 1);
	}
	return ret;
}

static int set_aside_slowly(void *opaque, uint64_t offset, uint64_t length)
{
	struct disk *disk = opaque;
	unsigned int began = disk->nr_steps;
	int ret;

	scheduler_yield();
	ret = disk->hooks.ops->set_aside(disk, offset, length);
	if (!ret) {
		note_steps(began);
		end_step(disk->nr_steps - 1);
	}
	scheduler_yield();
	return ret;
}

static int cut(void *opaque, uint64_t size)
{
	struct disk *disk = opaque;
	unsigned int began = disk->nr_steps;
	int ret = disk->hooks.ops->cut(disk, size);

	if (disk->nr_steps > began) {
		note_steps(began);
		end_step(began);
	}
	return ret;
}

static uint64_t get_size(void *opaque)
{
	struct disk *disk = opaque;

	return disk->hooks.ops->size(disk);
}

static void on_event(void *opaque, enum qcow_event event)
{
	struct disk *disk = opaque;

	disk->hooks.event(disk, event);
	note_steps(disk->nr_steps - 1);
	end_step(disk->nr_steps - 1);
}

/* ---- the record ---- */

void instants_create(struct instants *instants, const struct disk *base)
{
	static const struct qcow_file_ops ops = {
		.read = read_slowly,
		.write = write_slowly,
		.sync = sync_slowly,
		.punch = punch_slowly,
		.size = get_size,
		.set_aside = set_aside_slowly,
		.cut = cut,
	};
	static struct moment moments[INSTANTS_MAX];

	memset(instants, 0, sizeof(*instants));
	instants->moments = moments;
	disk_copy(&instants->base, base);
	disk_copy(&instants->disk, base);
	instants->hooks = instants->disk.hooks;
	instants->hooks.ops = &ops;
	instants->hooks.event = on_event;
	instants->hooks.ahead = 2 * SECTOR;
	running = instants;
}

void instants_destroy(struct instants *instants)
{
	disk_free(&instants->disk);
	disk_free(&instants->base);
}

void instants_fail(struct instants *instants, unsigned int n)
{
	instants->disk.countdown = 0;
	instants->disk.fail_at = n;
	instants->disk.fail_with = -EIO;
}

void instants_record(struct instants *instants, const struct qcow_image *image,
		     const uint64_t *clock)
{
	struct moment *moment = &instants->moments[0];

	instants->image = image;
	instants->clock = clock;
	/* If no step follows, this instant is the only one. */
	moment->time = *clock;
	memcpy(moment->journal, image->journal.header, INSTANT_JOURNAL);
	disk_record(&instants->disk, NULL);
}

void instants_end(struct instants *instants)
{
	instants->disk.recording = false;
	instants->disk.fail_at = -1;
}

/* ---- an instant ---- */

void instants_draw(const struct instants *instants, struct random *random,
		   struct instant *instant)
{
	unsigned int nr = instants->disk.nr_steps;

	*instant = (struct instant){ 0 };
	if (nr)
		instant->step = random_below(random, nr);
	instant->time = instants->moments[instant->step].time;
	instant->journal = instants->moments[instant->step].journal;
}

/* Is this a write whose call had begun before the instant? */
static bool is_under_way(const struct instants *instants, unsigned int step,
			 unsigned int instant)
{
	return instants->disk.steps[step].kind == STEP_WRITE &&
	       instants->moments[step].began < instant;
}

void instants_die(const struct instants *instants,
		  const struct instant *instant, struct random *random,
		  struct disk *disk)
{
	disk_copy(disk, &instants->base);
	for (unsigned int i = 0; i < instants->disk.nr_steps; i++)
		if (i < instant->step ||
		    (is_under_way(instants, i, instant->step) &&
		     random_below(random, 2)))
			disk_apply(disk, &instants->disk.steps[i]);
}

/* Has a sync covered the step that had ended before the instant? */
static bool is_durable(const struct instants *instants, unsigned int step,
		       unsigned int instant)
{
	unsigned int ended = instants->moments[step].ended;

	for (unsigned int i = step + 1; i < instant; i++)
		if (instants->disk.steps[i].kind == STEP_SYNC && ended &&
		    ended <= instants->moments[i].began)
			return true;
	return false;
}

static void apply_some(struct disk *disk, const struct step *step,
		       struct random *random, unsigned int odds)
{
	for (size_t at = 0; at < step->length; at += SECTOR) {
		struct step part = *step;

		part.offset += at;
		part.length = min_u64(SECTOR, step->length - at);
		part.bytes = step->bytes ? step->bytes + at : NULL;
		if (random_below(random, 8) < odds)
			disk_apply(disk, &part);
	}
}

void instants_lose(const struct instants *instants,
		   const struct instant *instant, struct random *random,
		   struct disk *disk)
{
	unsigned int odds = random_below(random, 9);

	disk_copy(disk, &instants->base);
	for (unsigned int i = 0; i < instants->disk.nr_steps; i++) {
		const struct step *step = &instants->disk.steps[i];

		if (i < instant->step && is_durable(instants, i, instant->step))
			disk_apply(disk, step);
		else if (i < instant->step ||
			 is_under_way(instants, i, instant->step))
			apply_some(disk, step, random, odds);
	}
}
