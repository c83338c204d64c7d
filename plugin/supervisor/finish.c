// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The end of a disk, as its supervisor brings it about.
 *
 * Stopping a device may take long, and for ever if the server is stuck; a child
 * does that, so the supervisor can still hear of the server's death and of a
 * second, more urgent command.  While the device is being stopped, two things
 * have to happen, in any order: the child reports success and the server ends.
 * If the server said that it closed the image, nothing is left to do.
 * Otherwise (killed, adopted, dead before) another child closes the image in
 * its stead, from the journal (R13).
 *
 * A refusal leads back to where the stop began.  With --force nobody is asked,
 * and a server that does not end within FORCED_PATIENCE is killed: that loses
 * nothing (P1), and the device is about to vanish anyway.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "plugin/common/link.h"
#include "plugin/common/log.h"
#include "plugin/supervisor/notify.h"
#include "plugin/supervisor/teardown.h"
#include "plugin/supervisor/watch.h"

#define PATIENCE	30000 /* ms */
#define FORCED_PATIENCE 3000  /* ms */

static int stop_job(const void *argument, char *text)
{
	const struct supervisor *sv = argument;

	return teardown_stop(&sv->disk, sv->job_forced, text) ? 1 : 0;
}

static int close_job(const void *argument, char *text)
{
	const struct supervisor *sv = argument;

	/* P4: a supervisor that has not locked the image yet does so as a
	   stranger. */
	return teardown_close_image(&sv->disk, &sv->layers,
				    sv->image_lock != NULL, sv->unbroken,
				    sv->stop_forced, text) ?
		       1 :
		       0;
}

/* Nobody has acted on the messages that the server sent meanwhile about a
   merge.  The time was given up at which hooks.d hears of the last one, and the
   watch over the server, which begins anew. */
static void live_on(struct supervisor *sv)
{
	watchdog_forget(sv);
	supervisor_enter(sv, PHASE_LIVE);
	merged_run_hooks(sv);
	if (sv->told_failure && sv->disk.merging)
		change_end_merge(sv);
}

/* The server may have died meanwhile: then the pause of the disk's users has
   begun with that. */
static void recover(struct supervisor *sv)
{
	stats_begin_stall(sv->stats, sv->death, sv->died_at);
	supervisor_recover(sv);
}

static void go_back(struct supervisor *sv)
{
	sv->deadline = 0;
	sv->stop_forced = false;
	/* That server has been killed, and is not dead yet. */
	if (sv->server >= 0 && sv->before == PHASE_RECOVERING)
		supervisor_enter(sv, PHASE_RECOVERING);
	else if (sv->server >= 0)
		live_on(sv);
	else if (sv->before == PHASE_FAILED)
		supervisor_enter(sv, PHASE_FAILED);
	else if (sv->before == PHASE_LOCKING)
		adopt_lock(sv);
	else
		recover(sv);
}

static void start_stop_job(struct supervisor *sv)
{
	int ret;

	sv->job_forced = sv->stop_forced;
	sv->device_stopped = false;
	ret = job_start(&sv->job, stop_job, sv, true);
	if (ret) {
		watch_settle(sv, true, "cannot stop the device: %s",
			     strerror(-ret));
		go_back(sv);
		return;
	}
	sv->deadline = clock_ms() +
		       (sv->stop_forced ? FORCED_PATIENCE : PATIENCE);
}

void finish_start(struct supervisor *sv)
{
	sv->before = sv->phase;
	sv->orderly = false;
	/* A stop that is refused leads to a recovery, and to no change. */
	sv->change.kind = CHANGE_NONE;
	supervisor_enter(sv, PHASE_STOPPING);
	start_stop_job(sv);
}

/* RECOVERING: the one case where a recovering server may be killed. */
void finish_recovering(struct supervisor *sv)
{
	if (!sv->stop_forced) {
		watch_put_off(sv, "being recovered");
		return;
	}
	spawn_kill(sv);
	finish_start(sv);
}

/* STOPPING: asked again, perhaps with --force now. */
void finish_hasten(struct supervisor *sv)
{
	if (sv->stop_forced)
		spawn_kill(sv);
}

void finish_lose_patience(struct supervisor *sv)
{
	if (sv->server < 0) {
		watch_settle(sv, true,
			     "the ublk driver has not stopped the device "
			     "within %d seconds; see the kernel's log",
			     (sv->stop_forced ? FORCED_PATIENCE : PATIENCE) /
				     1000);
		return;
	}
	if (sv->stop_forced) {
		log_line(LOG_WARNING,
			 "its server (process %d) does not end; killing it",
			 (int)sv->disk.server.pid);
		spawn_kill(sv);
		return;
	}
	watch_settle(sv, true,
		     "its server (process %d) has not ended within %d seconds "
		     "and is waited for; 'ublk-qcow2 del --force %d' kills it",
		     (int)sv->disk.server.pid, PATIENCE / 1000, sv->disk.id);
}

void finish_refuse_recovery(struct supervisor *sv)
{
	watch_settle(sv, true, "is just being removed");
}

static void forget(struct supervisor *sv, bool failed, const char *text)
{
	int ret;

	link_remove(&sv->disk);
	ret = teardown_delete(&sv->disk);
	sv->ended = true;
	sv->failed = failed || ret;
	if (ret) {
		/* The record stays, and with it the way to try again. */
		watch_settle(sv, true, "cannot delete the device: %s",
			     strerror(-ret));
		return;
	}
	disk_forget(sv->disk.id);
	watch_settle_event(sv,
			   failed ? DISK_EVENT_NOT_CLOSED : DISK_EVENT_REMOVED,
			   "%s", text);
}

/* Device and server are stopped: only the image is left. */
static void wind_up(struct supervisor *sv)
{
	int ret;

	sv->deadline = 0;
	notify(NOTIFY_STOPPING, "/dev/ublkb%d is being removed", sv->disk.id);
	if (sv->orderly) {
		forget(sv, false, "is removed");
		return;
	}
	supervisor_enter(sv, PHASE_CLOSING);
	ret = job_start(&sv->job, close_job, sv, true);
	if (ret)
		forget(sv, true,
		       "is removed, but its image is not closed; 'ublk-qcow2 "
		       "add' and 'del' it once more");
}

void finish_server_ended(struct supervisor *sv)
{
	sv->died_at = clock_ms();
	spawn_reap(sv);
	if (!sv->orderly)
		log_line(LOG_NOTICE, "%s while the device was being stopped",
			 sv->death);
	if (sv->device_stopped)
		wind_up(sv);
}

/* The job has stopped the device, or has not. */
void finish_device_stopped(struct supervisor *sv)
{
	char text[JOB_TEXT_MAX];
	int status = job_finish(&sv->job, text);

	if (!status) {
		sv->device_stopped = true;
		if (sv->server < 0)
			wind_up(sv);
		return;
	}
	if (sv->stop_forced && !sv->job_forced) {
		start_stop_job(sv);
		return;
	}
	if (!text[0])
		snprintf(text, sizeof(text), "the attempt was interrupted");
	watch_settle(sv, true, "%s", text);
	go_back(sv);
}

void finish_image_closed(struct supervisor *sv)
{
	char what[JOB_TEXT_MAX + 32], text[JOB_TEXT_MAX];
	int status = job_finish(&sv->job, text);

	if (!status) {
		forget(sv, false,
		       "is removed; its image was closed from the journal");
		return;
	}
	snprintf(what, sizeof(what), "is removed, but %s",
		 text[0] ? text : "closing the image failed");
	forget(sv, true, what);
}

void finish_stopped(struct supervisor *sv)
{
	log_event(DISK_EVENT_STOPPED, "was stopped; removing it");
	supervisor_enter(sv, PHASE_STOPPING);
	sv->device_stopped = true;
	wind_up(sv);
}
