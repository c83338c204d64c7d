/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The system calls of a server that serves.
 */
#ifndef SYSCALLS_H
#define SYSCALLS_H

/* From now on any other call, of any thread, kills the process.  Returns:
   -EOPNOTSUPP	this kernel or this build has no filter
   or another -errno. */
int syscalls_restrict(void);

#endif /* SYSCALLS_H */
