// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Workers: a list of work that waits, and for each thread that submits a list
 * of work that is finished.
 *
 * Work waits in the one list, is done by the first worker that is free, and
 * goes to the other, until the thread that submitted it takes it back.  That
 * thread sleeps in its ring, so an eventfd wakes it.  A worker writes to the
 * eventfd only when the list of finished work was empty, for then no worker has
 * done so yet.  Under load one wake-up brings much work.
 *
 * Each list has a lock, and no thread has two of them.  No lock is held while
 * work is done, and the submitting thread never waits for longer than it takes
 * to link a list element.  Nothing is allocated here after workers_create() and
 * finished_create().
 *
 * Work belongs to its worker from workers_submit() to finished_reap().
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

struct work_list {
	struct work *first;
	struct work **end;
};

struct workers {
	unsigned int count; /* constant once all threads run */
	pthread_mutex_t lock;
	pthread_cond_t work;	  /* waiting is not empty, or ending */
	struct work_list waiting; /* lock */
	bool ending;		  /* lock */
	pthread_t threads[];
};

struct finished {
	int fd; /* constant */
	pthread_mutex_t lock;
	struct work_list list; /* lock */
};

static void list_clear(struct work_list *list)
{
	list->first = NULL;
	list->end = &list->first;
}

static void list_append(struct work_list *list, struct work *work)
{
	work->next = NULL;
	*list->end = work;
	list->end = &work->next;
}

static struct work *list_take(struct work_list *list)
{
	struct work *work = list->first;

	list->first = work->next;
	if (!list->first)
		list->end = &list->first;
	return work;
}

static struct work *wait_for_work(struct workers *workers)
{
	struct work *work = NULL;

	pthread_mutex_lock(&workers->lock);
	while (!workers->waiting.first && !workers->ending)
		pthread_cond_wait(&workers->work, &workers->lock);
	if (!workers->ending)
		work = list_take(&workers->waiting);
	pthread_mutex_unlock(&workers->lock);
	return work;
}

static void hand_back(struct work *work)
{
	struct finished *finished = work->finished;
	bool nobody_told;

	pthread_mutex_lock(&finished->lock);
	nobody_told = !finished->list.first;
	list_append(&finished->list, work);
	pthread_mutex_unlock(&finished->lock);
	if (nobody_told)
		finished_wake(finished);
}

/* Work that comes back to nobody may be given again as soon as it has run. */
static void *worker(void *opaque)
{
	struct workers *workers = opaque;
	struct finished *finished;
	struct work *work;

	prctl(PR_SET_NAME, "worker");
	while ((work = wait_for_work(workers))) {
		finished = work->finished;
		work->run(work);
		if (finished)
			hand_back(work);
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

int workers_create(unsigned int count, struct workers **result)
{
	struct workers *workers;
	int ret;

	workers = calloc(1, sizeof(*workers) + count * sizeof(pthread_t));
	if (!workers)
		return -ENOMEM;
	list_clear(&workers->waiting);
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
	free(workers);
}

void workers_submit(struct workers *workers, struct finished *finished,
		    struct work *work)
{
	work->finished = finished;
	pthread_mutex_lock(&workers->lock);
	list_append(&workers->waiting, work);
	pthread_mutex_unlock(&workers->lock);
	pthread_cond_signal(&workers->work);
}

/* Finished work */

int finished_create(struct finished **result)
{
	struct finished *finished = calloc(1, sizeof(*finished));
	int ret;

	if (!finished)
		return -ENOMEM;
	finished->fd = eventfd(0, EFD_CLOEXEC);
	if (finished->fd < 0) {
		ret = -errno;
		free(finished);
		return ret;
	}
	list_clear(&finished->list);
	pthread_mutex_init(&finished->lock, NULL);
	*result = finished;
	return 0;
}

void finished_destroy(struct finished *finished)
{
	pthread_mutex_destroy(&finished->lock);
	close(finished->fd);
	free(finished);
}

int finished_fd(const struct finished *finished)
{
	return finished->fd;
}

void finished_wake(struct finished *finished)
{
	static const uint64_t one = 1;

	while (write(finished->fd, &one, sizeof(one)) < 0)
		if (errno != EINTR)
			abort(); /* a lost wake-up would be a lost request */
}

struct work *finished_reap(struct finished *finished)
{
	struct work *first;

	pthread_mutex_lock(&finished->lock);
	first = finished->list.first;
	list_clear(&finished->list);
	pthread_mutex_unlock(&finished->lock);
	return first;
}
