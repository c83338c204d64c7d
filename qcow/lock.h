/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The locks of an image, for a process that holds them and does no I/O. */
#ifndef QCOW_LOCK_H
#define QCOW_LOCK_H

#include "qcow/options.h"

/* lock.c */

struct qcow_lock;

/*
 * Opens an image, or a layer of one, and takes QEMU's lock bytes on it, as a
 * writer or as a reader.  The lock is an open file description of its own;
 * nothing of the file is read.  Returns:
 * 0		*lock is the lock
 * -EBUSY	with test: somebody else uses the file
 * -EINPROGRESS	with test: a dead owner's last I/O goes on (R14), so the
 *		caller waits
 * -ESTALE	it is another file than that (NULL: any will do)
 * or another -errno; on failure error has the reason.
 */
int qcow_lock(const char *path, const struct qcow_identity *identity,
	      bool read_only, bool test, struct qcow_lock **lock,
	      struct qcow_error *error);
/* The lock of a writer becomes that of a reader, and back.  Nobody else can
   become a writer in between.  -EBUSY: there is another reader by now, and the
   lock stays that of a reader. */
void qcow_lock_lower(struct qcow_lock *lock);
int qcow_lock_raise(struct qcow_lock *lock, struct qcow_error *error);
/* Which file it is that is locked. */
void qcow_lock_identify(const struct qcow_lock *lock,
			struct qcow_identity *identity);
/* By which path it can be found now, as the kernel says it: " (deleted)" stands
   behind that of a file which is in no directory any more. */
int qcow_lock_where(const struct qcow_lock *lock, char *path, size_t size);
void qcow_unlock(struct qcow_lock *lock);

#endif /* QCOW_LOCK_H */
