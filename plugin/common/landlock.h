/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Landlock: what a process can no longer reach, by name.
 *
 * Functions return 0 or -errno.
 */
#ifndef LANDLOCK_H
#define LANDLOCK_H

enum landlock_use {
	LANDLOCK_READ,
	LANDLOCK_WRITE, /* and read; of a directory, make and remove, too */
};

/* Makes rules that allow nothing: no file, no network, no signal to a process
   outside.  -EOPNOTSUPP: this kernel has no Landlock; an older one knows a part
   of it, which is taken. */
int landlock_open(int *rules);

/* Allows to use a file, or what lies below a directory; what is not there is
   left out. */
int landlock_allow(int rules, const char *path, enum landlock_use use);

/* From now on the rules hold for this thread, and for all that it starts. */
int landlock_restrict(int rules);

#endif /* LANDLOCK_H */
