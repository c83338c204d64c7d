// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The signal to end: the supervisor of a disk in use cannot end at once.
 *
 * A system that ends a machine, or a service, sends SIGTERM first, which means
 * "finish your work".  A disk is done when nobody uses it any more.  So the
 * signal is kept: the disk is served on, and recovered if its server dies,
 * while a child looks at intervals whether the disk is still used.  An unused
 * disk is removed as by `del`.  Nothing of this ever harms a user.  `recover`,
 * which says that the disk is wanted, takes the signal back.  A service manager
 * does not take its signal back, and waits for our end before it starts the
 * service again.  So the supervisor of a service ends, and leaves the disk to
 * one that `recover` begins.
 *
 * A service manager has less patience.  After a while it lets go of us.  If it
 * was asked for a restart, it starts another supervisor, which asks for the
 * disk.  We end then, and leave server and record as they are: the other one
 * adopts the server as if we had been killed, so users notice nothing (P5).
 * The same holds for a supervisor that `recover` began: it stands in until the
 * manager of the dead one starts another.
 *
 * The look is only a hint.  The stop decides: it looks again, and if it is
 * refused, it leads back here.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "plugin/common/log.h"
#include "plugin/supervisor/notify.h"
#include "plugin/supervisor/use.h"
#include "plugin/supervisor/watch.h"

#define INTERVAL 1000 /* ms */

#define USED   0
#define UNUSED 1

static int look(const void *argument, char *text)
{
	const struct supervisor *sv = argument;

	return use_find(sv->disk.id, sv->phase == PHASE_LIVE, text,
			JOB_TEXT_MAX) ?
		       USED :
		       UNUSED;
}

/* While a server is about to take over, the users that wait for it are not
   asked.  A server that was killed for a change may not be dead yet. */
static bool is_steady(const struct supervisor *sv)
{
	return (sv->phase == PHASE_LIVE && !sv->change.kind) ||
	       sv->phase == PHASE_FAILED;
}

void leave_begin(struct supervisor *sv)
{
	/* Nobody has been told of it yet. */
	if (sv->phase == PHASE_ADDING) {
		supervisor_handle(sv, EVENT_STOP);
		return;
	}
	sv->leave.told = true;
	sv->leave.used_by[0] = '\0';
	sv->leave.next = clock_ms();
}

/* Nothing is under way that only we know of. */
static bool can_end(const struct supervisor *sv)
{
	return is_steady(sv) || sv->phase == PHASE_LOCKING ||
	       sv->phase == PHASE_WAITING;
}

void leave_cancel(struct supervisor *sv)
{
	if (!sv->leave.next)
		return;
	if (sv->managed && can_end(sv)) {
		sv->ended = true;
		watch_settle(sv, false,
			     "is wanted again; its supervisor ends, as it was "
			     "told to, and leaves the disk to another one");
		return;
	}
	sv->leave.next = 0;
	sv->leave.used_by[0] = '\0';
	log_event(DISK_EVENT_WANTED,
		  "is wanted again, and no longer waits for its users' end");
	if (sv->phase == PHASE_LIVE)
		trouble_notify(&sv->disk);
}

void leave_look(struct supervisor *sv)
{
	sv->leave.next = clock_ms() + INTERVAL;
	if (sv->leave.job.pidfd >= 0 || !is_steady(sv))
		return;
	/* For want of a process: again in a moment. */
	job_start(&sv->leave.job, look, sv, true);
}

static void tell_user(struct supervisor *sv, const char *who)
{
	if (!strcmp(sv->leave.used_by, who))
		return;
	snprintf(sv->leave.used_by, sizeof(sv->leave.used_by), "%s", who);
	log_event(DISK_EVENT_ENDING,
		  "is in use by %s; is served on, and removed once nobody uses "
		  "it",
		  who);
	notify(NOTIFY_STATUS,
	       "/dev/ublkb%d is in use by %s; waiting for its "
	       "end",
	       sv->disk.id, who);
}

void leave_looked(struct supervisor *sv)
{
	char text[JOB_TEXT_MAX];
	int status = job_finish(&sv->leave.job, text);

	if (!sv->leave.next || !is_steady(sv))
		return;
	if (status == UNUSED)
		supervisor_handle(sv, EVENT_STOP);
	else if (status == USED)
		tell_user(sv, text);
}

void leave_hand_over(struct supervisor *sv)
{
	if (!sv->leave.told && !sv->stand_in) {
		watch_settle(sv, true,
			     "is served already, by the supervisor process %d",
			     (int)getpid());
		return;
	}
	if (!can_end(sv)) {
		leave_put_off(sv);
		return;
	}
	sv->ended = true;
	watch_settle_event(sv, DISK_EVENT_HANDED_OVER,
			   "is handed over to another supervisor");
}

void leave_put_off(struct supervisor *sv)
{
	watch_settle(sv, false, "is not in a state to be handed over yet");
}
