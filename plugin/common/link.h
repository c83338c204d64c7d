/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * /dev/ublk-qcow2/NAME, the stable way to a disk: a link to /dev/ublkbN.
 */
#ifndef LINK_H
#define LINK_H

#include <limits.h>

#include "plugin/common/state.h"

#define LINK_DIR "/dev/ublk-qcow2"

void link_path(const struct disk *disk, char path[PATH_MAX]);

/* Waits for /dev/ublkbN, and makes or corrects the link.  Returns:
   0		the link leads to the device
   -ENODEV	/dev/ublkbN does not come
   -EEXIST	a file that is no link has the name
   or another -errno. */
int link_make(const struct disk *disk);

/* Removes the link if it leads to this disk. */
void link_remove(const struct disk *disk);

#endif /* LINK_H */
