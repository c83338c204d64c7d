/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Ending a disk, step by step: for a supervisor, and for a command where no
 * supervisor is left.
 *
 * Functions that can fail for a reason that the user must know leave one
 * line in text.
 */
#ifndef TEARDOWN_H
#define TEARDOWN_H

#include <stdbool.h>

#include "plugin/common/process.h"
#include "plugin/common/state.h"

/* The device that the driver has under a disk's id. */
enum device_presence {
	DEVICE_ABSENT,	/* nothing, or a device that is not ours */
	DEVICE_ENDED,	/* not started yet, or stopped */
	DEVICE_SERVED,	/* by a server, which may be just dead */
	DEVICE_WAITING, /* quiesced, for a server to come */
};
int teardown_look(const struct disk *disk, enum device_presence *presence);

/* Stops the device if it is ours: its users get errors from now on, its
   server closes the image and ends.  Without force refuses while it is in
   use.  Waits for requests under way, so a stuck server has to be killed
   first. */
int teardown_stop(const struct disk *disk, bool force, char text[JOB_TEXT_MAX]);

/* The same for a caller that must not wait for ever: a driver before 7.0 can
   lock itself up when a server dies while START_DEV reads the disk. */
int teardown_stop_bounded(const struct disk *disk, bool force,
			  char text[JOB_TEXT_MAX]);

/* Deletes the stopped device if it is ours. */
int teardown_delete(const struct disk *disk);

/* All of that for a disk without a supervisor, with its server, link, socket
   and record.  give_up: that includes the journal of an image that is not where
   it was; only an admin says so.  The caller holds the disk's lock. */
int teardown_all(const struct disk *disk, bool force, bool give_up,
		 char text[JOB_TEXT_MAX]);

/* close-image.c: opens the image with its layers once and closes it cleanly,
   which replays the journal of a server that did not come to it; a read-only
   disk has none. locked: we hold the locks; unbroken: and have since that
   server died; give_up: if the image is not where it was, its journal is
   removed. */
int teardown_close_image(const struct disk *disk, const struct layers *layers,
			 bool locked, bool unbroken, bool give_up,
			 char text[JOB_TEXT_MAX]);

/* leftovers.c: removes the rest of every `add` whose supervisor died before the
   disk was usable. */
void teardown_leftovers(void);

#endif /* TEARDOWN_H */
