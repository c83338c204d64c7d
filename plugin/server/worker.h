/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Workers: threads that make blocking calls for a thread that must not block.
 */
#ifndef WORKER_H
#define WORKER_H

/* A piece of work, embedded in its subject. */
struct work {
	struct work *next; /* private to the workers */
};

struct workers;

/* Starts count threads; one of them passes each work given to
   workers_submit() to run.  0 or -errno; workers_destroy() frees. */
int workers_create(unsigned int count, void (*run)(struct work *work),
		   struct workers **workers);

/* Waits for the work under way and forgets the rest. */
void workers_destroy(struct workers *workers);

/* An eventfd: a read from it ends when finished work is waiting. */
int workers_fd(const struct workers *workers);

/* Ends a read from workers_fd(), though there may be none. */
void workers_wake(struct workers *workers);

void workers_submit(struct workers *workers, struct work *work);

/* Takes all finished work, the oldest first, linked by next. */
struct work *workers_reap(struct workers *workers);

#endif /* WORKER_H */
