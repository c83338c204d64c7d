/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Workers: threads that make the calls which block, for a thread that must
 * not.
 */
#ifndef WORKER_H
#define WORKER_H

/* A piece of work, embedded in whatever it is about. */
struct job {
	struct job *next; /* private to the workers */
};

struct workers;

/* Starts count threads; each job given to workers_submit() is passed to run
   on one of them. */
int workers_create(unsigned int count, void (*run)(struct job *job),
		   struct workers **workers);

/* Waits for the jobs under way and forgets the others. */
void workers_destroy(struct workers *workers);

/* An eventfd: a read from it ends when finished jobs are waiting. */
int workers_fd(const struct workers *workers);

void workers_submit(struct workers *workers, struct job *job);

/* Takes all finished jobs, the first one first, linked by next. */
struct job *workers_reap(struct workers *workers);

#endif /* WORKER_H */
