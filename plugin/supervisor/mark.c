// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * An overlay that was merged down is marked, so that nobody serves it.
 *
 * The overlay is input (P6), so the process that reads its header has a jail,
 * in which it may write to that file and to no other image.  Programs that only
 * look have an image open for a moment, and are waited for.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "plugin/common/jail.h"
#include "plugin/common/log.h"
#include "plugin/supervisor/mark.h"
#include "qcow/merge.h"

#define BUSY_PATIENCE 3000 /* ms */
#define BUSY_INTERVAL 20   /* ms */

static int mark(const struct disk *disk, struct qcow_error *error)
{
	const struct timespec interval = { .tv_nsec = BUSY_INTERVAL * 1000000 };
	const uint64_t end = clock_ms() + BUSY_PATIENCE;
	int ret;

	while ((ret = qcow_mark_merged(disk->merged_from,
				       &disk->merged_identity, disk->image,
				       error)) == -EBUSY &&
	       clock_ms() < end)
		nanosleep(&interval, NULL);
	return ret;
}

int mark_overlay(const void *argument, char *text)
{
	const struct disk *disk = argument;
	const struct jail jail = { .image = disk->merged_from, .write = true };
	struct qcow_error error;
	int ret = jail_enter_for(&jail);

	if (ret) {
		snprintf(text, JOB_TEXT_MAX,
			 "the process cannot confine itself: %s",
			 strerror(-ret));
		return NOT_MARKED;
	}
	ret = mark(disk, &error);
	/* -ENOENT: somebody has deleted the overlay.  The log would ask for the
	   same. */
	if (!ret || ret == -ENOENT)
		return MARKED;
	snprintf(text, JOB_TEXT_MAX, "%.400s", error.text);
	return NOT_MARKED;
}

void mark_failed(const struct disk *disk, const char *why)
{
	log_line(LOG_WARNING,
		 "%s was merged down and must not be served any more, but "
		 "cannot be marked: %s; remove it",
		 disk->merged_from, why);
}
