/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Threads that take turns, in an order that one seed determines.
 *
 * For a program that is linked with --wrap for the calls in scheduler.c: from
 * scheduler_start() to scheduler_end() pthread_create() makes no thread of the
 * system.  Exactly one runs at a time, and another one can go on only where
 * one locks, waits, joins, ends or yields.
 */
#ifndef SCHEDULER_H
#define SCHEDULER_H

#include <stdint.h>

/* The caller becomes the first thread. */
void scheduler_start(uint64_t seed);
/* All others have ended and were joined. */
void scheduler_end(void);
/* Here another thread may go on. */
void scheduler_yield(void);
/* A number below n, drawn from the seed. */
uint64_t scheduler_draw(uint64_t n);

#endif /* SCHEDULER_H */
