/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The users of a device.
 */
#ifndef USE_H
#define USE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* Whether a user has /dev/ublkb<id> open, mounted or stacked upon; *who gets
   the user's name.  exclusive: may open the device to find out; not if the
   server is gone. */
bool use_find(int id, bool exclusive, char *who, size_t size);

/* Whether the kernel shows to everybody, at once, that a device or a mount
   stands on /dev/ublkb<id>, or that it is swap.  Processes that have the device
   open are not looked for. */
bool use_find_visible(int id, char *who, size_t size);

/* Whether a process other than these two (0: none) has the block device open
   for writing, through any node, or the kernel writes to it: for a mount, or as
   swap. */
bool use_find_writer(dev_t device, pid_t except, pid_t except_too, char *who,
		     size_t size);

#endif /* USE_H */
