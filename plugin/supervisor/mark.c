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

static int mark(const char *path, const struct qcow_identity *identity,
		const char *into, char *text)
{
	const struct timespec interval = { .tv_nsec = BUSY_INTERVAL * 1000000 };
	const uint64_t end = clock_ms() + BUSY_PATIENCE;
	struct qcow_error error;
	int ret;

	while ((ret = qcow_mark_merged(path, identity, into, &error)) ==
		       -EBUSY &&
	       clock_ms() < end)
		nanosleep(&interval, NULL);
	/* -ENOENT: somebody has deleted the overlay.  The log would ask for the
	   same. */
	if (!ret || ret == -ENOENT)
		return MARKED;
	snprintf(text, JOB_TEXT_MAX, "%.200s: %.200s", path, error.text);
	return NOT_MARKED;
}

static int enter_jail(const struct mark *marks)
{
	struct qcow_layer between[QCOW_FILES_MAX];
	const unsigned int count = marks->layers->nr_merged;
	const struct jail jail = {
		.image = marks->disk->merged_from,
		.write = true,
		.layers = between,
		.nr_layers = count,
	};
	unsigned int i;

	for (i = 0; i < count; i++) {
		between[i] = marks->layers->merged[i];
		between[i].written = true;
	}
	return jail_enter_for(&jail);
}

/* The others are marked all the same. */
static int mark_all(const struct mark *marks, char *text)
{
	const struct disk *disk = marks->disk;
	const struct layers *layers = marks->layers;
	int status = mark(disk->merged_from, &disk->merged_identity,
			  disk->image, text);
	unsigned int i;

	for (i = 0; i < layers->nr_merged; i++)
		if (mark(layers->merged[i].path, &layers->merged[i].identity,
			 disk->image, text) != MARKED)
			status = NOT_MARKED;
	return status;
}

int mark_overlay(const void *argument, char *text)
{
	int ret = enter_jail(argument);

	if (!ret)
		return mark_all(argument, text);
	snprintf(text, JOB_TEXT_MAX, "the process cannot confine itself: %s",
		 strerror(-ret));
	return NOT_MARKED;
}

void mark_failed(const struct disk *disk, const char *why)
{
	log_line(LOG_WARNING,
		 "%s was merged down; it must not be served any more, nor must "
		 "what lies between it and %s, but not all of that can be "
		 "marked: %s; remove it",
		 disk->merged_from, disk->image, why);
}
