// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The thread for work that nobody waits for.  It makes checkpoints: when the
 * journal or the active set is half full (R16), and when a dirty image is idle.
 * It sweeps after an open, and sets room aside.  It sleeps while the image is
 * clean.
 */
#include <signal.h>
#include <time.h>
#include "qcow/ahead.h"
#include "qcow/append.h"
#include "qcow/checkpoint.h"
#include "qcow/sweep.h"

/* It looks after an idle or failing image this often. */
#define TICK_NS 1000000000ll

/* Until there is something to write: append_group() wakes. */
static void sleep_clean(struct qcow_image *image)
{
	image->checkpoint.asleep = true;
	pthread_cond_wait(&image->checkpoint.work, &image->lock);
	image->checkpoint.asleep = false;
}

static struct timespec next_tick(void)
{
	struct timespec until;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += TICK_NS / 1000000000;
	return until;
}

static void tick(struct qcow_image *image)
{
	const struct timespec until = next_tick();

	pthread_cond_timedwait(&image->checkpoint.work, &image->lock, &until);
}

static bool is_called(const struct qcow_image *image)
{
	return image->checkpoint.stopping || image->allocator.ahead.asked ||
	       append_is_half_full(image);
}

/* Sweeps for a tick, or until there is something more urgent; false: less. */
static bool sweep_a_while(struct qcow_image *image)
{
	const struct timespec until = next_tick();
	struct timespec now;

	while (sweep_some(image) && !is_called(image)) {
		clock_gettime(CLOCK_MONOTONIC, &now);
		if (now.tv_sec > until.tv_sec || (now.tv_sec == until.tv_sec &&
						  now.tv_nsec >= until.tv_nsec))
			return true;
	}
	return false;
}

static void *checkpoint_thread(void *argument)
{
	struct qcow_image *image = argument;
	uint64_t groups = 0;

	LOCKED(image);
	while (!image->checkpoint.stopping) {
		bool idle = groups == image->groups;
		bool dirty = checkpoint_is_dirty(image);

		if (image->allocator.ahead.asked) {
			ahead_make(image);
			/* It came before its time, which tells nothing. */
			groups = UINT64_MAX;
			continue;
		}
		groups = image->groups;
		if (append_is_half_full(image) || (dirty && idle)) {
			/* Do not spin on a broken disk. */
			if (checkpoint_make(image))
				tick(image);
		} else if (!image->allocator.sweep.over) {
			if (!sweep_a_while(image))
				groups = UINT64_MAX;
		} else if (!dirty && idle) {
			sleep_clean(image);
		} else {
			tick(image);
		}
	}
	return NULL;
}

int checkpoint_start_thread(struct qcow_image *image)
{
	sigset_t all, old;
	int ret;

	crew_start(&image->crew);
	/* Signals are for the program's own threads. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	ret = -pthread_create(&image->checkpoint.thread, NULL,
			      checkpoint_thread, image);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	image->checkpoint.has_thread = !ret;
	if (ret)
		crew_stop(&image->crew);
	return ret;
}

void checkpoint_stop_thread(struct qcow_image *image)
{
	if (!image->checkpoint.has_thread)
		return;
	{
		LOCKED(image);
		image->checkpoint.stopping = true;
		pthread_cond_signal(&image->checkpoint.work);
	}
	pthread_join(image->checkpoint.thread, NULL);
	crew_stop(&image->crew);
	image->checkpoint.has_thread = false;
}
