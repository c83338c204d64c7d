/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The system calls of a server: that opens its image, and that serves.
 */
#ifndef SYSCALLS_H
#define SYSCALLS_H

/* Return:
   -EOPNOTSUPP	this kernel or this build has no filter
   or another -errno. */

/* For the opening of an image, with one thread: any other call fails. */
int syscalls_limit(void);

/* From now on any other call, of any thread, kills the process. */
int syscalls_restrict(void);

#endif /* SYSCALLS_H */
