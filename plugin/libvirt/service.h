/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Having disks served, by the program ublk-qcow2 or, where systemd is, by
 * units that run it.
 *
 * Functions return 0, or -errno with the reason in why: the cause alone,
 * without the disk's name.  Each is over after a bounded time.
 */
#ifndef SERVICE_H
#define SERVICE_H

#include "plugin/libvirt/domain.h"
#include "plugin/common/state.h"

/* The usual time, or a shorter one that a test has put into the
   environment. */
int service_patience(int milliseconds);

/* The program that serves disks: its path. */
const char *service_program(void);

/* Serves an entry's image as the disk of this name; entry NULL: as disks.d
   says.  Returns:
   0		the disk is served
   -EBUSY	another process has one of its files in use
   -ETIMEDOUT	the time was over, and the attempt was given up
   or another -errno. */
int service_start(const struct domain_entry *entry, const char *name,
		  char why[DOMAIN_REASON_MAX]);

/* Is the disk live, with a living server and a living supervisor? */
bool service_is_live(const struct disk *disk);

/* Starts the server and the supervisor of a disk if they are missing; takes
   that many milliseconds at most.  A supervisor that was told to end learns
   that the disk is wanted again. */
int service_revive(const struct disk *disk, int milliseconds,
		   char why[DOMAIN_REASON_MAX]);

/* Removes the disk.  Tries again, for about that many milliseconds, while a
   process still has the disk open.  0 with a reason: the disk is gone, but a
   part of the removal failed. */
int service_stop(const struct disk *disk, int milliseconds,
		 char why[DOMAIN_REASON_MAX]);

#endif /* SERVICE_H */
