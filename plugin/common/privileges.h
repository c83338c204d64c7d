/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The privileges of root that the hook and the agent have no use for.
 */
#ifndef PRIVILEGES_H
#define PRIVILEGES_H

/* Gives up, for this process and all that it starts, the capabilities that no
   process of a disk needs.  Those that only these processes need have no effect
   here.  For a process with one thread.  A step that it has no right to is left
   out: that is no reason to keep a guest from its disks. */
void privileges_limit(void);

/* One of those that are left, such as CAP_SYS_ADMIN, has an effect again: for a
   child that does one thing and ends. */
void privileges_take(unsigned int capability);

#endif /* PRIVILEGES_H */
