// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Removing an overlay that nobody needs.
 *
 * It is removed under the lock of a writer.  A supervisor that begins to serve
 * it needs that lock, so nobody loses an overlay that another command, or a
 * supervisor that goes on, has made its own since the look.
 *
 * An image is input (P6): a child in a jail looks.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "plugin/common/jail.h"
#include "plugin/common/log.h"
#include "plugin/common/overlay.h"
#include "plugin/common/process.h"
#include "qcow/merge.h"

#define LOOK_PATIENCE 10000 /* ms */
#define LOCK_PATIENCE 2000  /* ms */
#define LOCK_INTERVAL 20    /* ms */

#define MERGED 1

static int look_job(const void *argument, char *text)
{
	const char *overlay = argument;
	const struct jail jail = { .image = overlay };

	(void)text;
	process_mute();
	return !jail_enter_for(&jail) && qcow_is_merged(overlay) ? MERGED : 0;
}

bool overlay_is_merged(const char *overlay)
{
	char text[JOB_TEXT_MAX];
	struct job job;

	if (job_start(&job, look_job, overlay, true))
		return false;
	if (process_wait(job.pidfd, LOOK_PATIENCE))
		return job_finish(&job, text) == MERGED;
	job_abandon(&job);
	return false;
}

/* A reader has an image open for a moment, and so has a job that dies with its
   supervisor. */
int overlay_lock(const char *overlay, struct qcow_lock **lock,
		 struct qcow_error *error)
{
	const struct timespec interval = { .tv_nsec = LOCK_INTERVAL * 1000000 };
	const uint64_t end = clock_ms() + LOCK_PATIENCE;
	int ret;

	while ((ret = qcow_lock(overlay, NULL, false, true, lock, error)) ==
		       -EBUSY ||
	       ret == -EINPROGRESS) {
		if (clock_ms() >= end)
			break;
		nanosleep(&interval, NULL);
	}
	return ret;
}

/* An open that was killed may have left a journal, which nobody would ever find
   without the overlay. */
int overlay_remove_locked(const char *overlay, struct qcow_lock *lock)
{
	struct qcow_identity identity;
	int ret;

	qcow_lock_identify(lock, &identity);
	ret = unlink(overlay) ? -errno : 0;
	qcow_unlock(lock);
	if (ret)
		return complain("%s: %s", overlay, strerror(-ret));
	qcow_forget_journal(&identity, NULL);
	return 0;
}

int overlay_remove_merged(const char *overlay)
{
	struct qcow_error error;
	struct qcow_lock *lock;

	if (!overlay_is_merged(overlay))
		return EXIT_SUCCESS;
	if (overlay_lock(overlay, &lock, &error))
		return overlay_is_merged(overlay) ?
			       complain("%s: %s", overlay, error.text) :
			       EXIT_SUCCESS;
	if (overlay_is_merged(overlay))
		return overlay_remove_locked(overlay, lock);
	qcow_unlock(lock);
	return EXIT_SUCCESS;
}
