/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Functions that several commands need.
 */
#ifndef COMMAND_H
#define COMMAND_H

#include "plugin/common/rpc.h"
#include "plugin/common/state.h"

#define COMMAND_PATIENCE 30000 /* ms, for another command to end */

/* Are we root, and is our directory there?  If not, complains about the
   subject and returns EXIT_FAILURE. */
int command_begin(const char *subject);

/* Complains about the disk, which the line names by device and image; returns
   EXIT_FAILURE. */
int command_complain(const struct disk *disk, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* Complains about a record that cannot be read; *status, an int, becomes that
   of a failure. */
void command_unreadable(int id, int error, void *status);

/* Locks a disk that was found and reads its record again.  Returns:
   0		*disk is the record as it is now
   -ENOENT	the disk is gone meanwhile; another may have its id
   -EBUSY	another command works on the disk
   or another -errno: the record cannot be read. */
int command_lock(struct disk *disk, int *lock);

/* Finds the disk that DEV means and locks it; *lock is the caller's to close.
   Returns 0, or EXIT_FAILURE after a complaint. */
int command_find(const char *dev, struct disk *disk, int *lock);

/* Kills the disk's supervisor, if it lives, and waits for its end. */
int command_kill_supervisor(const struct disk *disk);

/* Appeals to the disk's supervisor and waits that long.  Returns:
   0		it answered
   -ESRCH	it is dead, or died meanwhile
   -ETIMEDOUT	it lives and has not answered
   -EPROTO	it lives and is of another version
   -EXDEV	it is in another pid namespace
   -ENOENT, -ECONNREFUSED	it lives and has no socket
   -ETIME	it lives and takes no calls
   or another -errno. */
int command_appeal(const struct disk *disk, const struct appeal *appeal,
		   int milliseconds, struct outcome *outcome);

/* The same; asks again for that long if the appeal may succeed in a moment, as
   when the disk is being recovered.  Then outcome->later tells that it was not
   long enough. */
int command_appeal_later(const struct disk *disk, const struct appeal *appeal,
			 int milliseconds, int longer, struct outcome *outcome);

/* Complains about a supervisor that lives and cannot be spoken with. */
int command_deaf(const struct disk *disk, int error);

/* Locks each of the disks that are wanted, in turn, and passes it to work;
   NULL: all are wanted.  Passes over a disk that is gone meanwhile.  Returns
   the exit status. */
int command_each(bool (*wanted)(const struct disk *disk),
		 int (*work)(struct disk *disk, int lock));

#endif /* COMMAND_H */
