// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Workers: two lists under one lock.
 *
 * Work waits in one list, is done by the first thread that is free, and waits
 * in the other until the thread that submitted it takes it back.  That thread
 * sleeps in its ring, so an eventfd wakes it.  A worker writes to the eventfd
 * only when the list of finished work was empty, for then no worker has done
 * so yet.  Under load one wake-up brings much work.
 *
 * The lock is never held while work is done, and the submitting thread never
 * waits for longer than it takes to link a list element.  Nothing is
 * allocated here after workers_create().
 *
 * Work belongs to its worker from workers_submit() to workers_reap().
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
	void (*run)(struct work *work); /* constant */
	int fd;				/* constant */
	unsigned int count;		/* constant once all threads run */
	pthread_mutex_t lock;
	pthread_cond_t work;	   /* waiting is not empty, or ending */
	struct work_list waiting;  /* lock */
	struct work_list finished; /* lock */
	bool ending;		   /* lock */
	pthread_t threads[];
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

static void hand_back(struct workers *workers, struct work *work)
{
	bool nobody_told;

	pthread_mutex_lock(&workers->lock);
	nobody_told = !workers->finished.first;
	list_append(&workers->finished, work);
	pthread_mutex_unlock(&workers->lock);
	if (nobody_told)
		workers_wake(workers);
}

static void *worker(void *opaque)
{
	struct workers *workers = opaque;
	struct work *work;

	prctl(PR_SET_NAME, "worker");
	while ((work = wait_for_work(workers))) {
		workers->run(work);
		hand_back(workers, work);
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

int workers_create(unsigned int count, void (*run)(struct work *work),
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

void workers_wake(struct workers *workers)
{
	static const uint64_t one = 1;

	while (write(workers->fd, &one, sizeof(one)) < 0)
		if (errno != EINTR)
			abort(); /* a lost wake-up would be a lost request */
}

void workers_submit(struct workers *workers, struct work *work)
{
	pthread_mutex_lock(&workers->lock);
	list_append(&workers->waiting, work);
	pthread_mutex_unlock(&workers->lock);
	pthread_cond_signal(&workers->work);
}

struct work *workers_reap(struct workers *workers)
{
	struct work *first;

	pthread_mutex_lock(&workers->lock);
	first = workers->finished.first;
	list_clear(&workers->finished);
	pthread_mutex_unlock(&workers->lock);
	return first;
}
