/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Planned changes of a disk that is in use.
 */
#ifndef CHANGE_COMMAND_H
#define CHANGE_COMMAND_H

#include <limits.h>

#include "plugin/common/change.h"
#include "plugin/common/rpc.h"
#include "plugin/common/state.h"

/* Appeals to the disk's supervisor, again if the disk is just being recovered.
   Returns as command_appeal() does. */
int change_ask(const struct disk *disk, const struct appeal *appeal,
	       struct outcome *outcome);

/* Has the disk's supervisor change the disk, and says how it ended.  The disk
   is locked by the caller.  Returns the exit status. */
int change_disk(const struct disk *disk, const struct change *change);

/* Waits until hooks.d has heard of the last merge: a script may remove the
   overlay by its name.  Returns the exit status. */
int change_await_told(const struct disk *disk);

/* Complains of a file of disks.d for another disk that names an image: the
   next boot would serve the image, and the disk that is served in its place
   would be worthless. */
int change_check_others(const struct disk *disk, const char *image);

/* Complains that the domains which use the disk are not known. */
int change_blind(const struct disk *disk, int error);

/* Complains of a domain that names the disk's image: the command of libvirt's
   changes the domain, too. */
int change_check_domain(const struct disk *disk, const char *command);

/* snapshot.c */

/* The absolute path of a file that is not there yet.  Returns the exit
   status. */
int change_new_path(const char *word, char path[PATH_MAX]);

/* A new overlay takes the place of the disk's image.  told: the
   domain that uses the disk names the overlay.  The disk is locked by the
   caller.  Returns the exit status. */
int snapshot_take(const struct disk *disk, const char *overlay, bool told);

/* commit.c: has the disk's image merged into one below; the disk is locked by
   the caller.  Then waits for the end, without a lock.  Return the exit
   status. */
struct merge_wish {
	uint64_t rate;	/* bytes in a second at most; 0: no limit */
	bool told;	/* the domain that uses the disk will name that one */
	const char *to; /* which one; NULL: the next */
};

int commit_begin(const struct disk *disk, const struct merge_wish *wish);
int commit_wait(const struct disk *disk);

#endif /* CHANGE_COMMAND_H */
