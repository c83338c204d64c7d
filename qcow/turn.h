/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One at a time; the others wait. */
#ifndef QCOW_TURN_H
#define QCOW_TURN_H

#include <pthread.h>
#include <stdbool.h>

/* A right that one thread has at a time, also while it has dropped the lock
   for its I/O.  The lock protects both fields. */
struct turn {
	bool taken;
	pthread_cond_t ended;
};

void turn_create(struct turn *turn);
/* Nobody has the turn or waits for it. */
void turn_destroy(struct turn *turn);
/* Waits until nobody has the turn, then takes it.  Under the lock, which is
   dropped while the caller waits.  A thread that has the turn must not take
   it again. */
void turn_take(struct turn *turn, pthread_mutex_t *lock);
/* Under the lock; any thread may end the turn that its request has taken. */
void turn_end(struct turn *turn);

#endif /* QCOW_TURN_H */
