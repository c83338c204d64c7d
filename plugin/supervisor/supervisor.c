// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The supervisor's decisions: the action for each event in each phase.  The
 * table actions[] is all of it; an action is short and never waits for the
 * server.
 *
 * When the server dies, the next one is started before anything else is done,
 * since the guest waits (P5).  We tell the new server that the image has been
 * locked all the time, by us (R12).
 *
 * A server that dies again and again is started with growing delays.  If
 * TALLY_DEATHS of them die within TALLY_WINDOW and none of them became live,
 * another try will not help.  The same is true if TALLY_LASTING servers in a
 * row say that their cause will last, such as an image that is gone.  A single
 * server that says so does not count: an admin may replace a file in two steps,
 * and the server may have come between them.  The supervisor then gives up
 * trying, but not the disk.  The supervisor stays, with its lock on the image,
 * and the device stays quiesced.  So the users wait and see no error until an
 * admin runs `recover`, or `del --force`.
 *
 * A server that takes long to take over is reported but left alone: it may wait
 * for the dead server's last I/O, as it should (P4), and a driver before 6.16
 * does not survive the death of a server that has fetched some of its tags.
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "plugin/common/log.h"
#include "plugin/supervisor/notify.h"
#include "plugin/supervisor/teardown.h"
#include "plugin/supervisor/watch.h"

#define TALLY_WINDOW	 60000 /* ms */
#define LONG_LIFE	 1000  /* ms; a server this old is no short life */
#define AT_ONCE		 3     /* short lives without a delay */
#define DELAY_MIN	 100   /* ms */
#define DELAY_MAX	 5000  /* ms */
#define DELAY_MAX_LIVE	 1000  /* ms; if they do become live */
#define TALLY_LASTING	 2
#define GROWTHS		 2     /* servers that may die of growth or merge */
#define DELAY_LASTING	 1000  /* ms; before the second look */
#define SLOW_FIRST	 10000 /* ms until a recovery is called slow */
#define SLOW_AGAIN	 60000 /* ms */
#define ADOPTED_INTERVAL 100   /* ms; an adopted server cannot call us */

static enum disk_state state_of(enum phase phase)
{
	static const enum disk_state states[NR_PHASES] = {
		[PHASE_ADDING] = DISK_ADDING,
		[PHASE_LIVE] = DISK_LIVE,
		[PHASE_LOCKING] = DISK_RECOVERING,
		[PHASE_RECOVERING] = DISK_RECOVERING,
		[PHASE_WAITING] = DISK_RECOVERING,
		[PHASE_CHANGING] = DISK_RECOVERING,
		[PHASE_FAILED] = DISK_FAILED,
		[PHASE_STOPPING] = DISK_STOPPING,
		[PHASE_CLOSING] = DISK_STOPPING,
	};

	return states[phase];
}

/* The end of the disk is told where there is no way back any more
   (finish.c). */
static void tell_manager(const struct disk *disk)
{
	if (disk->state == DISK_LIVE)
		trouble_notify(disk);
	else if (disk->state == DISK_RECOVERING)
		notify(NOTIFY_STATUS,
		       "/dev/ublkb%d has lost its server; a new one is "
		       "taking over",
		       disk->id);
	else if (disk->state == DISK_FAILED)
		notify(NOTIFY_STATUS,
		       "/dev/ublkb%d waits for 'ublk-qcow2 recover %d': "
		       "%s",
		       disk->id, disk->id, disk->reason);
}

static void set_phase(struct supervisor *sv, enum phase phase)
{
	enum disk_state state = state_of(phase);

	sv->phase = phase;
	if (sv->disk.state != state)
		sv->disk.since = time(NULL);
	sv->disk.state = state;
}

int supervisor_enter(struct supervisor *sv, enum phase phase)
{
	int ret;

	set_phase(sv, phase);
	ret = disk_save(&sv->disk, &sv->layers);
	if (ret)
		log_line(LOG_ERR, "cannot write " STATE_DIR "/%d.disk: %s",
			 sv->disk.id, strerror(-ret));
	tell_manager(&sv->disk);
	if (phase == PHASE_LIVE)
		watchdog_begin(sv);
	else
		watchdog_end(sv);
	return ret;
}

static uint64_t delay(const struct tally *tally)
{
	const uint64_t max = tally->stillborn ? DELAY_MAX : DELAY_MAX_LIVE;
	unsigned int shift;
	uint64_t ms;

	if (tally->lasting)
		return DELAY_LASTING;
	if (tally->short_lives <= AT_ONCE)
		return 0;
	shift = tally->short_lives - AT_ONCE - 1;
	ms = shift < 16 ? (uint64_t)DELAY_MIN << shift : max;
	return ms < max ? ms : max;
}

static bool hopeless(struct tally *tally, enum failure_cause cause,
		     uint64_t now)
{
	uint64_t *slot = &tally->when[tally->stillborn % TALLY_DEATHS];
	uint64_t oldest;

	*slot = now;
	tally->stillborn++;
	tally->lasting = cause == CAUSE_LASTING ? tally->lasting + 1 : 0;
	if (tally->lasting == TALLY_LASTING)
		return true;
	if (tally->stillborn < TALLY_DEATHS)
		return false;
	oldest = tally->when[tally->stillborn % TALLY_DEATHS];
	return now - oldest <= TALLY_WINDOW;
}

static void nothing(struct supervisor *sv)
{
	(void)sv;
}

static void wait_before_recovery(struct supervisor *sv)
{
	uint64_t ms = delay(&sv->tally);

	supervisor_enter(sv, PHASE_WAITING);
	sv->deadline = clock_ms() + (ms ? ms : DELAY_MIN);
}

void supervisor_recover(struct supervisor *sv)
{
	int ret;

	/* There must be no server before that. */
	if (merge_comes_first(sv))
		return;
	/* The record names the server and tells that it recovers, both at
	   once: we may not live to tell that it serves. */
	set_phase(sv, PHASE_RECOVERING);
	ret = spawn_server(sv, true);
	if (ret) {
		log_line(LOG_ERR, "cannot start a server: %s; trying again",
			 strerror(-ret));
		sv->tally.short_lives++;
		wait_before_recovery(sv);
		return;
	}
	supervisor_enter(sv, PHASE_RECOVERING);
	sv->deadline = clock_ms() + SLOW_FIRST;
}

void supervisor_map_stats(struct supervisor *sv)
{
	int ret = stats_map(sv->disk.id, sv->disk.nonce,
			    sv->disk.options.queues, &sv->stats);

	if (ret)
		log_line(LOG_WARNING,
			 "cannot make " STATE_DIR "/%d.stats: %s; 'ublk-qcow2 "
			 "stat' has no figures of it",
			 sv->disk.id, strerror(-ret));
}

static void recover_or_wait(struct supervisor *sv)
{
	if (delay(&sv->tally))
		wait_before_recovery(sv);
	else
		supervisor_recover(sv);
}

static bool device_gone(const struct supervisor *sv)
{
	enum device_presence presence;

	return !teardown_look(&sv->disk, &presence) &&
	       (presence == DEVICE_ABSENT || presence == DEVICE_ENDED);
}

/* LIVE: the server died. */
static void crashed(struct supervisor *sv)
{
	pid_t server = sv->disk.server.pid;

	sv->died_at = clock_ms();
	spawn_reap(sv);
	/* Only a stopped device lets its server go in good order.  In case of
	   doubt the next server will find out. */
	if ((sv->orderly || sv->adopted) && device_gone(sv)) {
		finish_stopped(sv);
		return;
	}
	if (sv->change.kind || sv->disk.merged) {
		change_server_ended(sv);
		return;
	}
	if (sv->died_at - sv->tally.live_since < LONG_LIFE)
		sv->tally.short_lives++;
	else
		sv->tally.short_lives = 1;
	snprintf(sv->disk.reason, sizeof(sv->disk.reason), "%s", sv->death);
	stats_begin_stall(sv->stats, sv->death, sv->died_at);
	recover_or_wait(sv);
	log_event(DISK_EVENT_CRASHED,
		  "%s; its users wait while a new one takes over",
		  sv->disk.reason);
	hooks_run(&sv->hooks, &sv->disk, DISK_EVENT_CRASHED, server);
}

/* RECOVERING: the new server serves. */
static void recovered(struct supervisor *sv)
{
	uint64_t now = clock_ms();

	sv->unbroken = true;
	sv->force_open = false;
	sv->tally.stillborn = 0;
	sv->tally.lasting = 0;
	sv->tally.live_since = now;
	sv->deadline = 0;
	stats_end_stall(sv->stats);
	sv->disk.reason[0] = '\0';
	poison_tell(sv);
	change_grow_device(sv);
	if (sv->change.kind) {
		change_end(sv);
		return;
	}
	sv->disk.recoveries++;
	supervisor_enter(sv, PHASE_LIVE);
	watch_settle_event(
		sv, DISK_EVENT_RECOVERED,
		"recovered after %llu ms by process %d (recovery %u)",
		(unsigned long long)(now - sv->died_at),
		(int)sv->disk.server.pid, sv->disk.recoveries);
	hooks_run(&sv->hooks, &sv->disk, DISK_EVENT_RECOVERED,
		  sv->disk.server.pid);
	merged_tell(sv);
	if (sv->adopted && (sv->disk.growing || sv->disk.merging))
		change_resume(sv);
}

static void give_up(struct supervisor *sv, pid_t server)
{
	sv->force_open = false;
	sv->deadline = 0;
	sv->change.kind = CHANGE_NONE;
	supervisor_enter(sv, PHASE_FAILED);
	watch_settle_event(
		sv, DISK_EVENT_GAVE_UP,
		"gave up after %u attempts, the last of which failed so: "
		"%s; its users wait: mend that, then run "
		"'ublk-qcow2 recover %d'",
		sv->tally.stillborn, sv->disk.reason, sv->disk.id);
	hooks_run(&sv->hooks, &sv->disk, DISK_EVENT_GAVE_UP, server);
}

/* RECOVERING: the new server died before it served. */
static void died_again(struct supervisor *sv)
{
	pid_t server = sv->disk.server.pid;
	unsigned long long pause;

	spawn_reap(sv);
	sv->deadline = 0;
	if (device_gone(sv)) {
		finish_stopped(sv);
		return;
	}
	/* The storage has just answered the server, so it will answer us. */
	if (sv->cause == CAUSE_LASTING)
		hold_tell_where(sv, sv->death, sizeof(sv->death));
	snprintf(sv->disk.reason, sizeof(sv->disk.reason), "%s", sv->death);
	sv->tally.short_lives++;
	/* The disk as it was before the growth can be served, perhaps. */
	if (sv->disk.growing && sv->tally.stillborn == GROWTHS) {
		snprintf(sv->change_text, sizeof(sv->change_text), "%s",
			 sv->death);
		sv->disk.growing = 0;
	}
	if (sv->disk.merging && sv->tally.stillborn == GROWTHS) {
		sv->tally.stillborn++;
		merge_drop(sv, sv->death);
		return;
	}
	if (hopeless(&sv->tally, sv->cause, clock_ms())) {
		give_up(sv, server);
		return;
	}
	pause = delay(&sv->tally);
	recover_or_wait(sv);
	log_event(DISK_EVENT_RECOVERY_FAILED,
		  "a recovery failed: %s; trying again in %llu ms",
		  sv->disk.reason, pause);
}

/* FAILED: somebody has removed the cause. */
static void try_again(struct supervisor *sv)
{
	memset(&sv->tally, 0, sizeof(sv->tally));
	supervisor_recover(sv);
}

static void report_slow(struct supervisor *sv)
{
	enum device_presence presence;

	if (sv->adopted) {
		if (!teardown_look(&sv->disk, &presence) &&
		    presence == DEVICE_SERVED)
			recovered(sv);
		else
			sv->deadline = clock_ms() + ADOPTED_INTERVAL;
		return;
	}
	log_event(DISK_EVENT_RECOVERY_SLOW,
		  "the new server (process %d) does not serve yet; it may wait "
		  "for the dead one's last I/O, so look at the image's storage",
		  (int)sv->disk.server.pid);
	sv->deadline = clock_ms() + SLOW_AGAIN;
}

/* The columns: OPENED, LIVE, DIED, TIMER, RECOVER, STOP, HAND_OVER, RENEW,
   CHANGE, JOB, CALLER_LEFT. */
/* clang-format off */
static void (*const actions[NR_PHASES][NR_EVENTS])(struct supervisor *sv) = {
	[PHASE_ADDING] = {
		begin_add_device, begin_publish, begin_fail, nothing,
		nothing, begin_abandon, leave_put_off, change_put_off,
		change_put_off, nothing, begin_abandon,
	},
	[PHASE_LIVE] = {
		nothing, nothing, crashed, merged_run_hooks,
		change_await, finish_start, leave_hand_over, change_program,
		change_begin, nothing, nothing,
	},
	[PHASE_LOCKING] = {
		nothing, nothing, nothing, adopt_lock,
		nothing, finish_start, leave_hand_over, renew,
		change_put_off, nothing, nothing,
	},
	[PHASE_RECOVERING] = {
		hold_layers, recovered, died_again, report_slow,
		nothing, finish_recovering, leave_put_off, change_put_off,
		change_put_off, nothing, nothing,
	},
	[PHASE_WAITING] = {
		nothing, nothing, nothing, supervisor_recover,
		supervisor_recover, finish_start, leave_hand_over, renew,
		change_put_off, nothing, nothing,
	},
	[PHASE_CHANGING] = {
		nothing, nothing, nothing, abandon_time,
		nothing, abandon_change, leave_put_off, change_put_off,
		change_put_off, abandon_job_ended, nothing,
	},
	[PHASE_FAILED] = {
		nothing, nothing, nothing, nothing,
		try_again, finish_start, leave_hand_over, renew,
		change_put_off, nothing, nothing,
	},
	[PHASE_STOPPING] = {
		nothing, nothing, finish_server_ended, finish_lose_patience,
		finish_refuse_recovery, finish_hasten, leave_put_off,
		change_put_off, change_put_off, finish_device_stopped, nothing,
	},
	[PHASE_CLOSING] = {
		nothing, nothing, nothing, nothing,
		finish_refuse_recovery, nothing, leave_put_off,
		change_put_off, change_put_off, finish_image_closed, nothing,
	},
};
/* clang-format on */

void supervisor_handle(struct supervisor *sv, enum event event)
{
	actions[sv->phase][event](sv);
}
