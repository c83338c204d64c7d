/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Planned changes of a domain's disks, by the program ublk-qcow2.
 */
#ifndef LIBVIRT_CHANGE_H
#define LIBVIRT_CHANGE_H

#include <signal.h>

#include "plugin/libvirt/plug.h"

/* Runs `ublk-qcow2` with these arguments, a NULL behind them; it speaks on our
   stdout and stderr.  Returns its exit status. */
int change_run(const char *const *arguments);

/* Finds the disk of the running domain that has this target or path.  Returns
   0, or EXIT_FAILURE after a complaint. */
int change_find_disk(const struct plug *plug, const char *word,
		     struct disk *disk, char target[32]);

/* Before the disk gets another image: do the metadata of the domain name the
   image that the disk has, or the other one already, and no other domain's do?
   Likewise. */
int change_check(const struct plug *plug, const struct disk *disk,
		 const char *to);

/* Where an entry in the metadata names one image, it names the other one from
   now on: in the domain that runs and in its definition.  An entry of the disk
   that names a third one stays.  Likewise. */
int change_names(const struct plug *plug, const struct disk *disk,
		 const char *from, const char *to);

/* After a program that may have changed the disk's image: the metadata, which
   name from, follow to the image that the disk has.  Likewise. */
int change_follow(const struct plug *plug, const struct disk *disk,
		  const char *from, bool failed);

/* Between the two calls no signal ends us: a guest that stands still would do
   so for ever.  The programs that we run can be ended. */
void change_hold_signals(sigset_t *old);
void change_release_signals(const sigset_t *old);

#endif /* LIBVIRT_CHANGE_H */
