// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The rest of an `add` that was interrupted: a record that says "adding" and
 * has no supervisor.
 *
 * Nobody was told of such a disk, so nobody misses it.  But a disk that is
 * served or used is never tidied away, even if its record says otherwise: a
 * record may be older than its disk.
 */
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "plugin/common/log.h"
#include "plugin/supervisor/teardown.h"
#include "plugin/supervisor/use.h"

#define LEFTOVER_PATIENCE 5000 /* ms */

/* Somebody serves it or uses it, even if the record does not say so. */
static bool is_needed(const struct disk *disk)
{
	enum device_presence presence;
	char who[256];

	if (process_alive(&disk->server))
		return true;
	if (teardown_look(disk, &presence))
		return true;
	return presence != DEVICE_ABSENT && presence != DEVICE_ENDED &&
	       use_find(disk->id, presence == DEVICE_SERVED, who, sizeof(who));
}

static int remove_locked(const void *argument, char *text)
{
	const struct disk *disk = argument;
	struct disk now;
	int lock;

	/* The engine's messages about that disk. */
	log_to_system();
	process_mute();
	if (state_lock(disk->id, 0, &lock))
		return 0;
	if (!disk_load(disk->id, &now) && now.nonce == disk->nonce &&
	    now.state == DISK_ADDING && !process_alive(&now.supervisor) &&
	    !is_needed(&now) && !teardown_all(&now, true, false, text))
		*text = '\0';
	close(lock);
	return 0;
}

/* The image is closed, too, and its storage may hang; nobody asked for that
   disk.  So a child does the work and gets little time; the next command finds
   the rest. */
static int remove_leftover(const struct disk *disk, void *opaque)
{
	char text[JOB_TEXT_MAX];
	struct job job;

	(void)opaque;
	if (disk->state != DISK_ADDING || process_alive(&disk->supervisor) ||
	    job_start(&job, remove_locked, disk, true))
		return 0;
	if (process_wait(job.pidfd, LEFTOVER_PATIENCE)) {
		job_finish(&job, text);
		if (*text)
			log_line(LOG_WARNING,
				 "removing the rest of an interrupted add of "
				 "%s: /dev/ublkb%d: %s",
				 disk->image, disk->id, text);
		return 0;
	}
	log_line(LOG_WARNING,
		 "the rest of an interrupted add of %s cannot be removed "
		 "yet: its storage does not answer",
		 disk->image);
	job_abandon(&job);
	return 0;
}

void teardown_leftovers(void)
{
	disk_each(remove_leftover, NULL);
	state_sweep();
}
