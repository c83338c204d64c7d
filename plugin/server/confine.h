/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The confinement of a server: it can reach nothing but its disk (P6).
 */
#ifndef CONFINE_H
#define CONFINE_H

/* The first part, for a process with one thread that still has to open files:
   it gives up rights for itself and for all of its later threads and children.
   0 or -errno. */
int confine_prepare(void);

/* The rest, for all threads: no privilege, no path, few system calls.  All
   files are open; no thread begins later.  id is the device's.  A step that
   this kernel does not have is left out; *held is a set of enum confinement
   that tells which hold.  On failure *step names the step, and only to die is
   left. */
int confine(int id, unsigned int *held, const char **step);

#endif /* CONFINE_H */
