// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * `del --force` in the middle of a change.
 *
 * Our child may be about to change a file of disks.d, to close an image or to
 * mark an overlay.  It is killed, and nothing else is done before it has ended:
 * a system call that it has begun comes to its end, and must not come after
 * our next step.  A child that waits for storage may not end.  The disk is
 * then removed all the same, as was asked for.
 *
 * The device may refuse to be stopped.  Then there is another server, which
 * needs the locks of a writer again.
 */
#include "plugin/supervisor/watch.h"

#define PATIENCE 3000 /* ms */

static void stop(struct supervisor *sv)
{
	sv->abandoned = false;
	sv->deadline = 0;
	/* The change to another image has lowered them. */
	if (sv->change.kind == CHANGE_IMAGE)
		move_raise_locks(sv);
	finish_start(sv);
}

void abandon_change(struct supervisor *sv)
{
	if (!sv->stop_forced) {
		watch_settle(sv, true,
			     "is just being changed; wait for that, or use "
			     "--force");
		return;
	}
	if (sv->job.pidfd < 0) {
		stop(sv);
		return;
	}
	process_kill(sv->job.pidfd);
	if (!sv->abandoned)
		sv->deadline = clock_ms() + PATIENCE;
	sv->abandoned = true;
}

void abandon_job_ended(struct supervisor *sv)
{
	char text[JOB_TEXT_MAX];

	if (!sv->abandoned) {
		change_job_ended(sv);
		return;
	}
	job_finish(&sv->job, text);
	stop(sv);
}

void abandon_time(struct supervisor *sv)
{
	if (!sv->abandoned) {
		merge_try_again(sv);
		return;
	}
	job_abandon(&sv->job);
	stop(sv);
}
