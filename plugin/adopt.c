// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The beginning of a supervisor for a disk that has lost the one before.
 *
 * A living server is adopted, lock beside lock.  It is no child of ours: we
 * hear of its end but not how it ended, and it cannot tell us anything; so
 * the driver is asked where that matters.
 *
 * If the server is dead too nobody had the image, nor what lies under it.
 * Then they are locked as a stranger does it: wait for the dead server's last
 * I/O, then test that nobody else has come (P4, R14).
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "plugin/link.h"
#include "plugin/log.h"
#include "plugin/teardown.h"
#include "plugin/watch.h"

static void resume(struct supervisor *sv)
{
	enum device_presence presence;

	sv->tally.live_since = clock_ms();
	if (teardown_look(&sv->disk, &presence) || presence != DEVICE_WAITING) {
		sv->unbroken = true;
		supervisor_enter(sv, PHASE_LIVE);
		watch_settle(sv, false,
			     "server %d has a new supervisor, process %d",
			     (int)sv->disk.server.pid, (int)getpid());
		return;
	}
	/* Its supervisor died in the middle of a recovery; whether the image
	   was locked all the time is not known. */
	supervisor_enter(sv, PHASE_RECOVERING);
	sv->died_at = clock_ms();
	sv->deadline = sv->died_at + 1;
}

/* Adopts the server if it lives: -ESRCH if not. */
static int adopt_server(struct supervisor *sv)
{
	int ret = spawn_adopt(sv);

	if (ret)
		return ret;
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
	close(sv->server);
	sv->server = -1;
	return -ESRCH;
}

static int adopt_or_recover(struct supervisor *sv)
{
	int ret = adopt_server(sv);

	if (ret != -ESRCH)
		return ret;
	ret = hold_files(sv, LOCK_TEST_PATIENCE);
	if (ret)
		return ret;
	sv->died_at = clock_ms();
	supervisor_recover(sv);
	return 0;
}

int adopt_disk(struct supervisor *sv)
{
	int ret;

	/* Of layers that are not known we will hear from the next server. */
	disk_load_layers(sv->disk.id, &sv->layers);
	ret = disk_save(&sv->disk, &sv->layers);
	if (ret) {
		watch_settle(sv, true, "cannot write in " STATE_DIR ": %s",
			     strerror(-ret));
		return ret;
	}
	/* The disk's users do not wait for want of a socket. */
	ret = rpc_listen(sv->disk.id, &sv->listener);
	if (ret)
		log_line(LOG_ERR,
			 "cannot make its socket in " STATE_DIR
			 ": %s; commands cannot speak with it",
			 strerror(-ret));
	/* The record names us now.  What follows may take long. */
	close(sv->lock);
	sv->lock = -1;
	link_make(&sv->disk);
	ret = adopt_or_recover(sv);
	if (!ret)
		return 0;
	memset(&sv->disk.supervisor, 0, sizeof(sv->disk.supervisor));
	supervisor_enter(sv, PHASE_FAILED);
	return ret;
}
