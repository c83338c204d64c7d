/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Planned changes of a disk that is in use.
 */
#ifndef CHANGE_COMMAND_H
#define CHANGE_COMMAND_H

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

/* Complains of a file of disks.d for another disk that names the image: the
   next boot would serve the image, and the disk that is served in its place
   would be worthless. */
int change_check_others(const struct disk *disk);

#endif /* CHANGE_COMMAND_H */
