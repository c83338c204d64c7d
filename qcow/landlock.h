/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Landlock: rules for the files that a process may still reach by name.
 *
 * Functions return 0 or -errno.
 */
#ifndef QCOW_LANDLOCK_H
#define QCOW_LANDLOCK_H

enum landlock_use {
	LANDLOCK_READ,
	LANDLOCK_EXECUTE, /* and read */
	LANDLOCK_WRITE,	  /* and read; of a directory, make and remove, too */
};

/* Makes rules that allow nothing: no file, no network, no signal to a process
   outside.  An older kernel takes a part of these rules.  Returns:
   0		*rules is a descriptor
   -EOPNOTSUPP	the kernel has no Landlock
   or another -errno. */
int landlock_open(int *rules);

/* Allows the use of a file, or of all that lies below a directory. */
int landlock_allow_fd(int rules, int fd, enum landlock_use use);

/* The same for a path.  A path that does not exist is left out. */
int landlock_allow(int rules, const char *path, enum landlock_use use);

/* From now on the rules hold for this thread, and for all that this thread
   starts. */
int landlock_restrict(int rules);

#endif /* QCOW_LANDLOCK_H */
