// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Workers: two lists under one lock.
 *
 * A job waits in one list, is run by whichever thread is free first, and
 * waits in the other until the thread that submitted it takes it back.  That
 * thread sleeps in its ring, so an eventfd wakes it: written only when the
 * list of finished jobs was empty, for then nobody has told it yet.  Under
 * load one wake-up brings many jobs.
 *
 * The lock is never held while a job runs, and the submitting thread never
 * waits for longer than it takes to link a list element.  Nothing is
 * allocated here after workers_create().
 *
 * A job belongs to its worker from workers_submit() to workers_reap().
 */
#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <unistd.h>
#include "plugin/server/worker.h"

struct job_list {
	struct job *first;
	struct job **end;
};

struct workers {
	void (*run)(struct job *job); /* constant */
	int fd;			      /* constant */
	unsigned int count;	      /* constant once all threads run */
	pthread_mutex_t lock;
	pthread_cond_t work;	  /* waiting is not empty, or ending */
	struct job_list waiting;  /* lock */
	struct job_list finished; /* lock */
	bool ending;		  /* lock */
	pthread_t threads[];
};

static void list_clear(struct job_list *list)
{
	list->first = NULL;
	list->end = &list->first;
}

static void list_append(struct job_list *list, struct job *job)
{
	job->next = NULL;
	*list->end = job;
	list->end = &job->next;
}

static struct job *list_take(struct job_list *list)
{
	struct job *job = list->first;

	list->first = job->next;
	if (!list->first)
		list->end = &list->first;
	return job;
}

static struct job *wait_for_job(struct workers *workers)
{
	struct job *job = NULL;

	pthread_mutex_lock(&workers->lock);
	while (!workers->waiting.first && !workers->ending)
		pthread_cond_wait(&workers->work, &workers->lock);
	if (!workers->ending)
		job = list_take(&workers->waiting);
	pthread_mutex_unlock(&workers->lock);
	return job;
}

static void hand_back(struct workers *workers, struct job *job)
{
	static const uint64_t one = 1;
	bool nobody_told;

	pthread_mutex_lock(&workers->lock);
	nobody_told = !workers->finished.first;
	list_append(&workers->finished, job);
	pthread_mutex_unlock(&workers->lock);
	while (nobody_told && write(workers->fd, &one, sizeof(one)) < 0)
		if (errno != EINTR)
			abort(); /* a lost wake-up would be a lost request */
}

static void *worker(void *opaque)
{
	struct workers *workers = opaque;
	struct job *job;

	prctl(PR_SET_NAME, "worker");
	while ((job = wait_for_job(workers))) {
		workers->run(job);
		hand_back(workers, job);
	}
	return NULL;
}

static int start_threads(struct workers *workers, unsigned int count)
{
	int ret;

	for (; workers->count < count; workers->count++) {
		ret = pthread_create(&workers->threads[workers->count], NULL,
				     worker, workers);
		if (ret)
			return -ret;
	}
	return 0;
}

int workers_create(unsigned int count, void (*run)(struct job *job),
		   struct workers **result)
{
	struct workers *workers;
	int ret;

	workers = calloc(1, sizeof(*workers) + count * sizeof(pthread_t));
	if (!workers)
		return -ENOMEM;
	workers->fd = eventfd(0, EFD_CLOEXEC);
	if (workers->fd < 0) {
		ret = -errno;
		free(workers);
		return ret;
	}
	workers->run = run;
	list_clear(&workers->waiting);
	list_clear(&workers->finished);
	pthread_mutex_init(&workers->lock, NULL);
	pthread_cond_init(&workers->work, NULL);
	ret = start_threads(workers, count);
	if (ret < 0) {
		workers_destroy(workers);
		return ret;
	}
	*result = workers;
	return 0;
}

void workers_destroy(struct workers *workers)
{
	pthread_mutex_lock(&workers->lock);
	workers->ending = true;
	pthread_cond_broadcast(&workers->work);
	pthread_mutex_unlock(&workers->lock);
	while (workers->count)
		pthread_join(workers->threads[--workers->count], NULL);
	pthread_cond_destroy(&workers->work);
	pthread_mutex_destroy(&workers->lock);
	close(workers->fd);
	free(workers);
}

int workers_fd(const struct workers *workers)
{
	return workers->fd;
}

void workers_submit(struct workers *workers, struct job *job)
{
	pthread_mutex_lock(&workers->lock);
	list_append(&workers->waiting, job);
	pthread_mutex_unlock(&workers->lock);
	pthread_cond_signal(&workers->work);
}

struct job *workers_reap(struct workers *workers)
{
	struct job *first;

	pthread_mutex_lock(&workers->lock);
	first = workers->finished.first;
	list_clear(&workers->finished);
	pthread_mutex_unlock(&workers->lock);
	return first;
}
