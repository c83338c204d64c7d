/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The confinement of a server: it can reach nothing but its disk (P6).
 */
#ifndef CONFINE_H
#define CONFINE_H

/* The first part, for a process with one thread: it gives up rights for itself
   and for all of its later threads and children.  0 or -errno. */
int confine_prepare(void);

/* The fall, before the image is opened, with one thread: no privilege, no path,
   few system calls.  nodes is the directory that will have the device's node,
   or -1: see node.h.  A step that this kernel does not have is left out; *held
   is a set of enum confinement that tells which hold.  On failure *step names
   the step, and only to die is left. */
int confine(int nodes, unsigned int *held, const char **step);

/* The rest, for all threads.  All files are open; no thread begins later. Fails
   likewise. */
int confine_wholly(const char **step);

#endif /* CONFINE_H */
