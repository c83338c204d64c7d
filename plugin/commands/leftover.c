// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * An overlay that a command left when it died: before anybody used it, or after
 * it was merged.
 *
 * A new overlay has bytes that anybody can compute.  An overlay that has just
 * these, and names the disk's image, hides nothing.  So to use it is to use a
 * new one.  Nobody else can count on it: below it the disk is written to.
 *
 * It is used and not replaced: the supervisor may still be about to serve it,
 * for the command that died.  Then both commands want the same.  Only one that
 * is too small has to go.  The disk has grown since, so the supervisor has come
 * to the end of all that it was asked for before.
 *
 * An image is input (P6): a child in a jail looks.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "plugin/commands/leftover.h"
#include "plugin/common/jail.h"
#include "plugin/common/log.h"
#include "plugin/common/overlay.h"
#include "plugin/server/fault.h"
#include "qcow/create.h"
#include "qcow/merge.h"

#define LOOK_PATIENCE 10000 /* ms */

#define LATE_DISCARD 6 /* s */
#define LATE_REMOVAL 5 /* s */

struct look {
	const struct disk *disk;
	const char *overlay;
};

/* As create.c names a file that lies beside. */
static const char *name_of(const char *image)
{
	const char *base = strrchr(image, '/') + 1;

	return strchr(base, ':') ? image : base;
}

static enum leftover look(const struct look *look)
{
	struct qcow_overlay made = { .format = "qcow2" };
	uint64_t size;

	if (qcow_is_merged(look->overlay))
		return LEFTOVER_MERGED;
	made.name = name_of(look->disk->image);
	if (!qcow_is_new_overlay(look->overlay, &made, &size) ||
	    size > look->disk->size)
		return LEFTOVER_OTHER;
	return size == look->disk->size ? LEFTOVER_UNUSED : LEFTOVER_OUTGROWN;
}

static int look_job(const void *argument, char *text)
{
	const struct look *what = argument;
	const struct jail jail = { .image = what->overlay };

	(void)text;
	process_mute();
	return jail_enter_for(&jail) ? LEFTOVER_OTHER : look(what);
}

static enum leftover look_apart(const struct look *look)
{
	char text[JOB_TEXT_MAX];
	struct job job;
	int status;

	if (job_start(&job, look_job, look, true))
		return LEFTOVER_OTHER;
	if (!process_wait(job.pidfd, LOOK_PATIENCE)) {
		job_abandon(&job);
		return LEFTOVER_OTHER;
	}
	status = job_finish(&job, text);
	return status == LEFTOVER_UNUSED || status == LEFTOVER_OUTGROWN ||
			       status == LEFTOVER_MERGED ?
		       (enum leftover)status :
		       LEFTOVER_OTHER;
}

enum leftover leftover_look(const struct disk *disk, const char *overlay)
{
	const struct look look = { disk, overlay };
	enum leftover found;
	struct disk now;

	if (access(overlay, F_OK) && errno == ENOENT)
		return LEFTOVER_NONE;
	if (!strcmp(disk->image, overlay))
		return LEFTOVER_OTHER;
	found = look_apart(&look);
	/* The supervisor has come to it meanwhile. */
	if (found == LEFTOVER_OTHER && !disk_load(disk->id, &now) &&
	    now.nonce == disk->nonce && !strcmp(now.image, overlay))
		return LEFTOVER_UNUSED;
	return found;
}

/* ---- removal ---- */

int leftover_remove(const char *overlay)
{
	struct qcow_error error;
	struct qcow_lock *lock;

	if (overlay_lock(overlay, &lock, &error))
		return complain("%s: %s", overlay, error.text);
	return overlay_remove_locked(overlay, lock);
}

void leftover_discard(const struct disk *disk, const char *overlay,
		      int (*unnamed)(const struct disk *disk,
				     const char *overlay))
{
	struct qcow_error error;
	struct qcow_lock *lock;
	struct disk now;

	if (fault("late-discard"))
		sleep(LATE_DISCARD);
	if (overlay_lock(overlay, &lock, &error))
		return;
	/* A merge may have ended meanwhile: the disk has its image of now. */
	if (disk_load(disk->id, &now) || now.nonce != disk->nonce ||
	    !strcmp(now.image, overlay) || unnamed(&now, overlay))
		qcow_unlock(lock);
	else
		overlay_remove_locked(overlay, lock);
}

int leftover_remove_merged(const char *overlay)
{
	if (fault("late-removal") && overlay_is_merged(overlay))
		sleep(LATE_REMOVAL);
	return overlay_remove_merged(overlay);
}
