/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Work that each thread has to do for itself.
 */
#ifndef THREADS_H
#define THREADS_H

/* Finds the threads of the process, in /proc.  From now on none may begin or
   end.  0 or -errno. */
int threads_find(void);

/* Has each of them, the caller last, call act(), which must be fit for a
   handler of signals and returns 0 or -errno.  Returns the first failure, or
   -ETIMEDOUT	a thread does not answer
   or another -errno. */
int threads_all(int (*act)(void));

#endif /* THREADS_H */
