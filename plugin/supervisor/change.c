// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A planned change of a disk that is in use is a planned death of its server.
 *
 * All that can be refused is refused while the server still serves.  Then the
 * server is killed, which loses nothing (P1), and its users wait (P5).  The
 * next server differs in one thing: it is of the program that runs now, or the
 * image grows before it is served, or another image is served.  A plain
 * recovery follows, so a death of anything at any moment leads to where a
 * recovery leads, with the record as it is:
 *
 * - While the record says that the disk is growing, each server tries to grow
 *   the image before it serves.  The supervisor that sees such a server live
 *   lets the device grow, if the image has grown, and takes that word out of
 *   the record.
 * - An overlay takes the place of the image in one write of the record.  Before
 *   that, the image is closed from its journal: as a backing file it is read
 *   only.  A server that has opened the overlay may have written to it, so from
 *   then on there is no way back; before that, a failure leads back to the
 *   image.
 * - A merge begins with such a death, and ends with the end of a server that
 *   has merged all (merge.c).
 *
 * Drivers of 6.16 and later can quiesce a device (UBLK_F_QUIESCE), and we do
 * not ask for that.  The driver waits for an idle tag in each queue, and may
 * leave a busy one that nobody completes; so the kill would stay, for that
 * case.  The kill alone does all, on every driver, and each test of a recovery
 * is a test of it.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "plugin/common/log.h"
#include "plugin/server/control.h"
#include "plugin/server/fault.h"
#include "plugin/supervisor/teardown.h"
#include "plugin/supervisor/watch.h"

#define SLOW_CLOSE 3 /* s */

/* ---- its course ---- */

void change_put_off(struct supervisor *sv)
{
	static const char *const states[NR_PHASES] = {
		[PHASE_STOPPING] = "being removed",
		[PHASE_CLOSING] = "being removed",
		[PHASE_FAILED] = "waiting for 'ublk-qcow2 recover'",
	};

	watch_put_off(sv, states[sv->phase] ?: "being recovered or changed");
}

unsigned int change_merge_place(const struct change *change)
{
	char *end;
	unsigned long place;

	if (change->kind != CHANGE_MERGE_TO)
		return 1;
	place = strtoul(change->image, &end, 10);
	return *end == ' ' && place < QCOW_FILES_MAX ? place : 0;
}

/* From here on a merge is a merge, and change.image the domain. */
static void note_place(struct supervisor *sv)
{
	struct change *change = &sv->change;
	char *domain = strchr(change->image, ' ');

	if (change->kind == CHANGE_MERGE_TO && domain) {
		sv->merge_place = change_merge_place(change);
		memmove(change->image, domain + 1, strlen(domain));
		change->kind = CHANGE_MERGE;
	} else if (change->kind == CHANGE_MERGE) {
		sv->merge_place = sv->disk.merging ?: 1;
	}
}

/* The record says first that the disk grows, so that no death forgets it. */
static int prepare(struct supervisor *sv)
{
	int ret = 0;

	if (sv->change.kind == CHANGE_SIZE) {
		sv->disk.growing = sv->change.size;
		ret = disk_save(&sv->disk, &sv->layers);
	} else if (sv->change.kind == CHANGE_IMAGE) {
		ret = move_plan(sv, sv->change.image, &sv->move);
	}
	return ret;
}

static void begin(struct supervisor *sv, const struct change *change)
{
	int ret;

	sv->change = *change;
	sv->change_text[0] = '\0';
	note_place(sv);
	ret = prepare(sv);
	if (!ret) {
		sv->deadline = 0;
		spawn_kill(sv);
		return;
	}
	sv->disk.growing = 0;
	sv->change.kind = CHANGE_NONE;
	watch_settle(sv, true, "cannot be changed: %s", strerror(-ret));
}

/* A server that was killed for a change may not be dead yet.  That change goes
   on, even if the command that asked for it does not wait any more: it has said
   so. */
static bool is_pending(struct supervisor *sv)
{
	if (sv->change.kind)
		change_put_off(sv);
	return sv->change.kind;
}

void change_await(struct supervisor *sv)
{
	if (!sv->change.kind)
		watch_settle(sv, false, "is live");
}

void change_begin(struct supervisor *sv)
{
	if (!is_pending(sv) && !refuse_change(sv))
		begin(sv, &sv->asked);
}

void change_resume(struct supervisor *sv)
{
	struct change change = {
		.kind = sv->disk.growing ? CHANGE_SIZE : CHANGE_MERGE,
		.size = sv->disk.growing ?: sv->disk.merge_rate,
	};

	snprintf(change.image, sizeof(change.image), "%s",
		 sv->disk.merge_domain);
	begin(sv, &change);
}

void change_end_merge(struct supervisor *sv)
{
	const struct change change = { .kind = CHANGE_NO_MERGE };

	begin(sv, &change);
}

void change_program(struct supervisor *sv)
{
	if (!is_pending(sv) && !refuse_while_merging(sv))
		renew(sv);
}

static const char *purpose(const struct supervisor *sv)
{
	static const char *const purposes[] = {
		[CHANGE_SERVER] = "its server is replaced",
		[CHANGE_SIZE] = "its image grows",
		[CHANGE_IMAGE] = "its image gets an overlay",
		[CHANGE_MERGE] = "a merge of its image begins",
		[CHANGE_NO_MERGE] = "a merge of its image is given up",
		[CHANGE_MERGED] = "its image was merged",
	};

	return purposes[sv->change.kind];
}

/* The overlay is opened as the next server will open it. */
static int close_job(const void *argument, char *text)
{
	const struct supervisor *sv = argument;
	const struct move *move = &sv->move;
	struct disk moved;
	int ret;

	if (fault("slow-close"))
		sleep(SLOW_CLOSE);
	ret = teardown_close_image(&sv->disk, &sv->layers, true, sv->unbroken,
				   false, text);
	move_describe(sv, move, &moved);
	if (!ret)
		ret = teardown_close_image(&moved, &move->layers, true, false,
					   false, text);
	return ret ? 1 : 0;
}

static void fail(struct supervisor *sv, const char *why)
{
	snprintf(sv->change_text, sizeof(sv->change_text),
		 "%.400s; its image is served as before", why);
	move_raise_locks(sv);
	supervisor_recover(sv);
}

static void begin_move(struct supervisor *sv)
{
	int ret;

	supervisor_enter(sv, PHASE_CHANGING);
	move_lower_locks(sv);
	ret = job_start(&sv->job, close_job, sv, true);
	if (ret)
		fail(sv, strerror(-ret));
}

void change_server_ended(struct supervisor *sv)
{
	if (sv->disk.merged)
		sv->change.kind = CHANGE_MERGED;
	snprintf(sv->disk.reason, sizeof(sv->disk.reason), "%s", purpose(sv));
	stats_begin_stall(sv->stats, sv->disk.reason, sv->died_at);
	switch (sv->change.kind) {
	case CHANGE_IMAGE:
		begin_move(sv);
		break;
	case CHANGE_MERGE:
		merge_lock(sv);
		break;
	case CHANGE_NO_MERGE:
		merge_drop(sv, sv->told_failure ? sv->disk.merge_failure : "");
		break;
	default:
		supervisor_recover(sv);
	}
}

void change_job_ended(struct supervisor *sv)
{
	char text[JOB_TEXT_MAX];
	struct qcow_error error;

	if (sv->change.kind != CHANGE_IMAGE)
		merge_job_ended(sv);
	else if (job_finish(&sv->job, text))
		fail(sv, *text ? text : "closing the image was interrupted");
	else if (move_make(sv, &sv->move, &error))
		fail(sv, error.text);
	else
		supervisor_recover(sv);
}

/* ---- its end ---- */

static int update_size(const struct disk *disk)
{
	struct control *control;
	int ret = control_open(&control);

	if (ret)
		return ret;
	ret = control_update_size(control, disk->id,
				  disk->growing / QCOW_SECTOR);
	control_close(control);
	return ret;
}

/* The server has grown the image before it began to serve, or has said why the
   image cannot grow.  One that is adopted has said so to another supervisor;
   the next one says it to us. */
void change_grow_device(struct supervisor *sv)
{
	struct disk *disk = &sv->disk;
	int ret = 0;

	if (!disk->growing || sv->adopted)
		return;
	if (sv->opened.size < disk->growing)
		snprintf(sv->change_text, sizeof(sv->change_text), "%s",
			 *sv->notice ? sv->notice : "the image has not grown");
	else
		ret = update_size(disk);
	if (ret)
		snprintf(sv->change_text, sizeof(sv->change_text),
			 "the image has grown, but the device has not: %s; try "
			 "again",
			 strerror(-ret));
	if (!*sv->change_text)
		disk->size = disk->growing;
	disk->growing = 0;
}

static void settle(struct supervisor *sv, enum disk_event event,
		   const char *result)
{
	watch_settle_event(sv, event,
			   "%s; its users have waited %" PRIu64 " ms", result,
			   clock_ms() - sv->died_at);
}

static void end_of_merge(struct supervisor *sv, enum change_kind kind)
{
	char text[JOB_TEXT_MAX];

	if (kind == CHANGE_MERGE) {
		settle(sv, DISK_EVENT_MERGING,
		       sv->disk.merging > 1 ?
			       "is being merged into an image further below" :
			       "is being merged into the image below");
	} else if (kind == CHANGE_NO_MERGE) {
		settle(sv, DISK_EVENT_NOT_MERGED, "is not merged any more");
	} else {
		merged_describe(sv, text, sizeof(text));
		settle(sv, DISK_EVENT_MERGED, text);
	}
}

void change_end(struct supervisor *sv)
{
	const enum change_kind kind = sv->change.kind;
	char text[64];

	sv->change.kind = CHANGE_NONE;
	move_clear(&sv->move);
	supervisor_enter(sv, PHASE_LIVE);
	if (*sv->change_text) {
		watch_settle_event(sv, DISK_EVENT_NOT_CHANGED, "%s",
				   sv->change_text);
	} else if (kind == CHANGE_SIZE) {
		snprintf(text, sizeof(text), "has %" PRIu64 " bytes now",
			 sv->disk.size);
		settle(sv, DISK_EVENT_RESIZED, text);
	} else if (kind == CHANGE_IMAGE) {
		settle(sv, DISK_EVENT_SNAPSHOT,
		       "is served from its overlay now");
	} else if (kind >= CHANGE_MERGE) {
		end_of_merge(sv, kind);
	} else {
		snprintf(text, sizeof(text), "is served by process %d now",
			 (int)sv->disk.server.pid);
		settle(sv, DISK_EVENT_UPGRADED, text);
	}
	merged_run_hooks(sv);
}
