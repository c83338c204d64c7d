/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Workers: threads that make blocking calls for a thread that must not block.
 */
#ifndef WORKER_H
#define WORKER_H

struct finished;
struct workers;

/* A piece of work, embedded in its subject. */
struct work {
	void (*run)(struct work *work); /* on a worker's thread; the subject's,
					   constant */
	struct work *next;		/* private to the workers */
	struct finished *finished;	/* likewise */
};

/* Starts count threads; one of them runs each work given to workers_submit().
   0 or -errno; workers_destroy() frees. */
int workers_create(unsigned int count, struct workers **workers);

/* Waits for the work under way and forgets the rest. */
void workers_destroy(struct workers *workers);

/* The work comes back to finished; to nobody if that is NULL. */
void workers_submit(struct workers *workers, struct finished *finished,
		    struct work *work);

/* The finished work of one thread that submits.  0 or -errno;
   finished_destroy() frees, after workers_destroy(). */
int finished_create(struct finished **finished);
void finished_destroy(struct finished *finished);

/* An eventfd: a read from it ends when finished work is waiting. */
int finished_fd(const struct finished *finished);

/* Ends a read from finished_fd(), though there may be no work. */
void finished_wake(struct finished *finished);

/* Takes all finished work, the oldest first, linked by next. */
struct work *finished_reap(struct finished *finished);

#endif /* WORKER_H */
