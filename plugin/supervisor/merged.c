// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The time after a merge: the record names the layer, and the overlay, which
 * nobody needs any more.
 *
 *	mark		the overlay refuses to be opened
 *	server		of the layer, which may write to it from now on
 *	tell		hooks.d
 *	record		does not name the overlay any more
 *
 * The mark is durable before the first write to the layer.  So no loss of power
 * leaves an overlay that no longer fits and lacks the mark.  An overlay that
 * cannot be marked keeps no user waiting; the log names that overlay.
 *
 * For want of a process, or of room among the events, hooks.d is told later.
 * Until then no other overlay begins, and no merge.
 *
 * A supervisor that finds an overlay in the record goes on from there.  So
 * hooks.d hears of a merge at least once, whichever process dies.
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "plugin/common/log.h"
#include "plugin/server/fault.h"
#include "plugin/supervisor/mark.h"
#include "plugin/supervisor/watch.h"

#define RETRY_AFTER 200	  /* ms */
#define TELL_AFTER  10000 /* ms */

/* ---- the mark ---- */

bool merged_is_unmarked(const struct supervisor *sv)
{
	return *sv->disk.merged_from && !sv->disk.merged_marked;
}

void merged_mark(struct supervisor *sv)
{
	const struct mark mark = { &sv->disk, &sv->layers };

	supervisor_enter(sv, PHASE_CHANGING);
	sv->deadline = 0;
	if (fault("die-moved"))
		raise(SIGKILL);
	sv->change.kind = CHANGE_MERGED;
	sv->change_text[0] = '\0';
	if (job_start(&sv->job, mark_overlay, &mark, true))
		sv->deadline = clock_ms() + RETRY_AFTER;
}

void merged_job_ended(struct supervisor *sv)
{
	char text[JOB_TEXT_MAX];
	int status = job_finish(&sv->job, text);

	if (status != MARKED && status != NOT_MARKED) {
		sv->deadline = clock_ms() + RETRY_AFTER;
		return;
	}
	if (status == NOT_MARKED)
		mark_failed(&sv->disk, text);
	if (fault("die-marked"))
		raise(SIGKILL);
	sv->disk.merged_marked = true;
	supervisor_recover(sv);
}

/* ---- the news ---- */

void merged_describe(const struct supervisor *sv, char *text, size_t size)
{
	const unsigned int more = sv->layers.nr_merged;

	if (more)
		snprintf(
			text, size,
			"has been merged down, and %.400s is no longer needed, "
			"nor %s below it",
			sv->disk.merged_from,
			more > 1 ? "are the images between" : "is the image");
	else
		snprintf(text, size,
			 "has been merged down, and %.400s is no longer needed",
			 sv->disk.merged_from);
}

static bool is_being_told(const struct supervisor *sv)
{
	return hooks_have(&sv->hooks, DISK_EVENT_MERGED);
}

void merged_run_hooks(struct supervisor *sv)
{
	if (*sv->disk.merged_from && !is_being_told(sv) &&
	    !hooks_run(&sv->hooks, &sv->disk, DISK_EVENT_MERGED,
		       sv->disk.server.pid))
		sv->deadline = clock_ms() + TELL_AFTER;
}

void merged_tell(struct supervisor *sv)
{
	char text[JOB_TEXT_MAX];

	if (!*sv->disk.merged_from || is_being_told(sv))
		return;
	merged_describe(sv, text, sizeof(text));
	log_event(DISK_EVENT_MERGED, "%s", text);
	merged_run_hooks(sv);
}

void merged_hooks_ended(struct supervisor *sv, enum disk_event event)
{
	if (event != DISK_EVENT_MERGED) {
		/* There may be room among the events now. */
		if (sv->phase == PHASE_LIVE)
			merged_run_hooks(sv);
		return;
	}
	if (fault("die-told"))
		raise(SIGKILL);
	sv->disk.merged_from[0] = '\0';
	layers_clear_merged(&sv->layers);
	sv->disk.merged_marked = false;
	/* If this fails, hooks.d may hear of the merge once more. */
	disk_save(&sv->disk, &sv->layers);
}
