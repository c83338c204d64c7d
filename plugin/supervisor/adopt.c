// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The beginning of a supervisor for a disk that has lost the one before.
 *
 * A living server is adopted, lock beside lock.  It is no child of ours: we
 * hear of its end but not how it ended, and it cannot tell us anything; so
 * the driver is asked where that matters.
 *
 * If the server is dead, too, the image and its layers were not locked.  Then
 * we lock them as a stranger does: wait for the dead server's last I/O, then
 * test that no other process has come (P4, R14).
 *
 * That I/O may never end.  We wait for its end by looking again and again, and
 * hear our callers in between: so the disk can be removed without killing us.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "plugin/common/link.h"
#include "plugin/common/log.h"
#include "plugin/supervisor/teardown.h"
#include "plugin/supervisor/watch.h"

#define BUSY_PATIENCE \
	1000		 /* ms; a child forked by the dead supervisor in its \
			    last moment has its locks until it closes them */
#define PAUSE_MIN  20	 /* ms */
#define PAUSE_MAX  500	 /* ms */
#define SLOW_FIRST 10000 /* ms */
#define SLOW_AGAIN 60000 /* ms */

/* The last supervisor died after its new server had begun to serve. */
static void tell_recovery(struct supervisor *sv)
{
	sv->disk.recoveries++;
	sv->disk.reason[0] = '\0';
	stats_end_stall(sv->stats);
	log_event(DISK_EVENT_RECOVERED,
		  "recovered by process %d (recovery %u); its last supervisor "
		  "died before it told that",
		  (int)sv->disk.server.pid, sv->disk.recoveries);
	hooks_run(&sv->hooks, &sv->disk, DISK_EVENT_RECOVERED,
		  sv->disk.server.pid);
}

static void resume_live(struct supervisor *sv)
{
	sv->unbroken = true;
	if (sv->disk.state == DISK_RECOVERING)
		tell_recovery(sv);
	/* Its users do not wait, whatever the last supervisor has noted when it
	   stood down or was about to remove the disk. */
	stats_end_stall(sv->stats);
	supervisor_enter(sv, PHASE_LIVE);
	watch_settle_event(sv, DISK_EVENT_ADOPTED,
			   "server %d has a new supervisor, process %d",
			   (int)sv->disk.server.pid, (int)getpid());
	merged_tell(sv);
	if (sv->disk.growing || sv->disk.merging)
		change_resume(sv);
}

static void resume(struct supervisor *sv)
{
	enum device_presence presence;

	sv->force_open = false;
	sv->tally.live_since = clock_ms();
	if (teardown_look(&sv->disk, &presence) || presence != DEVICE_WAITING) {
		resume_live(sv);
		return;
	}
	/* The last supervisor died in the middle of a recovery.  Nobody knows
	   whether the image was locked all the time. */
	supervisor_enter(sv, PHASE_RECOVERING);
	sv->died_at = clock_ms();
	stats_begin_stall(sv->stats, "its supervisor and its server died",
			  sv->died_at);
	sv->deadline = sv->died_at + 1;
}

/* Adopts the server if it lives: -ESRCH if not. */
static int adopt_server(struct supervisor *sv)
{
	int ret = spawn_adopt(sv);

	if (ret && ret != -ESRCH)
		watch_settle(sv, true,
			     "its server (process %d) cannot be looked at: %s; "
			     "try again",
			     (int)sv->disk.server.pid, strerror(-ret));
	if (ret)
		return ret;
	if (sv->disk.state == DISK_LIVE)
		watchdog_forget(sv);
	ret = hold_files(sv, LOCK_JOIN);
	if (ret)
		return ret;
	/* Alive now: its locks were there until ours were.  Dead: somebody
	   may have come in between, so ours must be tested (P4). */
	if (!process_wait(sv->server, 0)) {
		resume(sv);
		return 0;
	}
	hold_drop(sv);
	spawn_reap(sv);
	return -ESRCH;
}

/* Nobody supervises the disk then. */
static void stand_down(struct supervisor *sv)
{
	memset(&sv->disk.supervisor, 0, sizeof(sv->disk.supervisor));
	supervisor_enter(sv, PHASE_FAILED);
}

static void fail_to_lock(struct supervisor *sv)
{
	stand_down(sv);
	sv->ended = true;
	sv->failed = true;
	watch_settle(sv, true, "%s", sv->disk.reason);
}

static void wait_for_locks(struct supervisor *sv, uint64_t now)
{
	uint64_t pause = (now - sv->died_at) / 8;

	if (sv->phase != PHASE_LOCKING) {
		supervisor_enter(sv, PHASE_LOCKING);
		sv->slow = now + SLOW_FIRST;
	} else if (now >= sv->slow) {
		log_event(DISK_EVENT_RECOVERY_SLOW, "its users still wait: %s",
			  sv->disk.reason);
		sv->slow = now + SLOW_AGAIN;
	}
	if (pause < PAUSE_MIN)
		pause = PAUSE_MIN;
	sv->deadline = now + (pause < PAUSE_MAX ? pause : PAUSE_MAX);
}

void adopt_lock(struct supervisor *sv)
{
	uint64_t now = clock_ms();
	int ret = hold_try(sv, LOCK_TEST);

	if (!ret)
		supervisor_recover(sv);
	else if (ret == -EINPROGRESS ||
		 (ret == -EBUSY && now - sv->died_at < BUSY_PATIENCE))
		wait_for_locks(sv, now);
	else
		fail_to_lock(sv);
}

static int adopt_or_lock(struct supervisor *sv)
{
	int ret = adopt_server(sv);

	if (ret != -ESRCH)
		return ret;
	sv->died_at = clock_ms();
	stats_begin_stall(sv->stats, "its supervisor and its server died",
			  sv->died_at);
	adopt_lock(sv);
	return 0;
}

/* Of layers that the record does not tell we will hear from the next server.
   But those that cannot be read just now must not be forgotten: they are the
   only files that a later server may open (P6). */
static int read_layers(struct supervisor *sv)
{
	int ret = disk_load_layers(sv->disk.id, &sv->layers);

	return ret == -EINVAL || ret == -E2BIG ? 0 : ret;
}

/* The command that began us has read the record before it asked the old
   supervisor, which has worked until it died: its last word counts. */
static int read_record(struct supervisor *sv)
{
	struct disk now;
	int ret = disk_load(sv->disk.id, &now);

	if (!ret && now.nonce != sv->disk.nonce)
		ret = -ENOENT;
	if (!ret)
		ret = read_layers(sv);
	if (ret) {
		watch_settle(sv, true, "its record cannot be read: %s",
			     strerror(-ret));
		return ret;
	}
	now.supervisor = sv->disk.supervisor;
	memcpy(now.supervisor_version, sv->disk.supervisor_version,
	       sizeof(now.supervisor_version));
	sv->disk = now;
	return 0;
}

int adopt_disk(struct supervisor *sv)
{
	int ret = read_record(sv);

	if (ret)
		return ret;
	ret = disk_save(&sv->disk, &sv->layers);
	if (ret) {
		watch_settle(sv, true, "cannot write in " STATE_DIR ": %s",
			     strerror(-ret));
		return ret;
	}
	supervisor_map_stats(sv);
	/* The disk's users do not wait for want of a socket. */
	ret = rpc_listen(sv->disk.id, &sv->listener);
	if (ret)
		log_line(LOG_ERR,
			 "cannot make its socket in " STATE_DIR
			 ": %s; commands cannot speak with it",
			 strerror(-ret));
	/* The record names us now.  The next step may take long. */
	close(sv->lock);
	sv->lock = -1;
	link_make(&sv->disk);
	ret = adopt_or_lock(sv);
	if (ret)
		stand_down(sv);
	return ret;
}
