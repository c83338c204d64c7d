// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The merger copies while the guest writes, and the guest's writes undo some
 * copies.  So there is a last round, for which the guest has to wait:
 *
 *	copy		until no more than a last round is left
 *	settle		the copies become durable
 *	copy		the bytes that the guest has written meanwhile
 *	leave		the queues begin no more requests; those under way end
 *	finish		the last round, and a sync
 *
 * A last round is LAST_ROUND bytes.  If the guest writes as fast as the merger
 * copies, a whole WINDOW of steps gains nothing.  Then the last round becomes
 * twice as large, up to LAST_ROUND_MAX.  The pause lasts as long as the storage
 * takes to move that much.  A guest that undoes more than that all the time
 * keeps the merge from its end, and does no other harm.
 *
 * The merger takes one step at a time.  While the guest has requests under way,
 * the merger rests after each step, as long as that step took: so the guest has
 * half of the storage at least.  There is no rest after a window that gained
 * nothing.  An admin's limit of bytes in a second holds until the queues leave.
 * The last round has no such limit, because users wait for that round.
 *
 * The supervisor hears how far the merge is, at most once in INTERVAL, and why
 * a merge cannot go on.  Then the supervisor has the next server merge again or
 * not at all; this server serves until then.
 *
 * A server that is killed has not worked in vain: at times the copies so far
 * are settled, and the next server copies only the rest.  So a merge comes to
 * its end also where no server lives for long, if a server lives long enough to
 * copy and settle something, and in the end for the last round.
 */
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>
#include "plugin/common/channel.h"
#include "plugin/common/process.h"
#include "plugin/server/bucket.h"
#include "plugin/server/fault.h"
#include "plugin/server/merger.h"
#include "plugin/server/queues.h"
#include "qcow/merge.h"

#define LAST_ROUND     (16ull << 20) /* bytes */
#define LAST_ROUND_MAX (128ull << 20)
#define WINDOW	       64	 /* steps */
#define REST_MAX       50000000	 /* ns */
#define INTERVAL       1000	 /* ms */
#define SLOW	       200000000 /* ns */
#define SETTLE_AFTER   200000000 /* ns */

struct merger {
	struct qcow_image *image;
	struct qcow_merge *merge;
	struct queues *queues; /* once it has begun */
	int channel;
	pthread_t thread;
	sem_t begun;
	atomic_bool ending;
	struct bucket limit;

	/* the thread's own */
	uint64_t last_round; /* bytes */
	uint64_t window;     /* bytes that were left at its beginning */
	unsigned int steps;  /* since then */
	bool hurries;	     /* the last window has gained nothing */
	uint64_t settle_at;  /* ns; not earlier */
	uint64_t told_at;    /* ms */
	unsigned int told;   /* thousandths */
};

/* ---- the thread ---- */

static void tell(struct merger *merger,
		 const struct qcow_merge_progress *progress)
{
	struct server_message message = {
		.type = SERVER_MERGING,
		.failures = progress->done / ((progress->total + 999) / 1000),
	};
	uint64_t now = clock_ms();

	if (message.failures == merger->told ||
	    now - merger->told_at < INTERVAL)
		return;
	merger->told = message.failures;
	merger->told_at = now;
	channel_send(merger->channel, &message);
}

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000000ull + now.tv_nsec;
}

static void rest(const struct merger *merger, uint64_t ns)
{
	const struct timespec time = {
		.tv_nsec = ns < REST_MAX ? ns : REST_MAX,
	};
	const struct timespec slow = { .tv_nsec = SLOW };

	if (fault("slow-merge"))
		nanosleep(&slow, NULL);
	else if (!merger->hurries && queues_busy(merger->queues))
		nanosleep(&time, NULL);
}

/* In short sleeps, for the merger may be ended. */
static void keep_limit(struct merger *merger, uint64_t moved)
{
	uint64_t wait;

	bucket_take(&merger->limit, now_ns(), moved);
	while (!merger->ending &&
	       (wait = bucket_wait(&merger->limit, now_ns()))) {
		const struct timespec time = {
			.tv_nsec = wait < REST_MAX ? wait : REST_MAX,
		};

		nanosleep(&time, NULL);
	}
}

static void judge_window(struct merger *merger, uint64_t left)
{
	if (++merger->steps < WINDOW)
		return;
	merger->hurries = left >= merger->window;
	if (merger->hurries && merger->last_round < LAST_ROUND_MAX)
		merger->last_round *= 2;
	merger->window = left;
	merger->steps = 0;
}

/* A death undoes the copies since the last time.  Syncs take half of the time
   at most. */
static int settle_at_times(struct merger *merger)
{
	const uint64_t began = now_ns();
	uint64_t ended;
	int ret;

	if (began < merger->settle_at)
		return 0;
	ret = qcow_merge_settle(merger->merge);
	ended = now_ns();
	merger->settle_at = ended + (ended - began > SETTLE_AFTER ?
					     ended - began :
					     SETTLE_AFTER);
	return ret;
}

/* Until no more than a last round is left, or the merger must end. */
static int copy(struct merger *merger)
{
	struct qcow_merge_progress progress;
	uint64_t began, left;
	int ret;

	merger->window = UINT64_MAX;
	merger->steps = 0;
	for (;;) {
		began = now_ns();
		ret = qcow_merge_step(merger->merge, &progress);
		if (ret)
			return ret;
		tell(merger, &progress);
		left = progress.total - progress.done;
		if (left <= merger->last_round || merger->ending)
			return 0;
		judge_window(merger, left);
		ret = settle_at_times(merger);
		if (ret)
			return ret;
		rest(merger, now_ns() - began);
		keep_limit(merger, progress.moved);
	}
}

static int merge(struct merger *merger)
{
	int ret = copy(merger);

	if (!ret && !merger->ending)
		ret = qcow_merge_settle(merger->merge);
	/* Users wait for the close of the image, which syncs the rest. */
	if (!ret && !merger->ending)
		ret = qcow_flush(merger->image);
	if (!ret && !merger->ending)
		ret = copy(merger);
	return ret;
}

static void tell_failure(const struct merger *merger, int error)
{
	struct server_message message = { .type = SERVER_NOT_MERGED };

	snprintf(message.text, sizeof(message.text), "merging: %s",
		 strerror(-error));
	channel_send_surely(merger->channel, &message);
}

static void *merger_thread(void *opaque)
{
	struct merger *merger = opaque;
	int ret = 0;

	prctl(PR_SET_NAME, "merger");
	sem_wait(&merger->begun);
	if (!merger->ending)
		ret = merge(merger);
	if (ret)
		tell_failure(merger, ret);
	else if (!merger->ending)
		queues_leave(merger->queues);
	return NULL;
}

/* ---- the main thread ---- */

static int begin_merge(struct merger *merger,
		       const struct qcow_merge_kept *kept,
		       struct qcow_error *error)
{
	int ret = qcow_merge_check(merger->image, error);

	return ret ? ret :
		     qcow_merge_open(merger->image, kept, &merger->merge,
				     error);
}

int merger_create(struct qcow_image *image, int channel, uint64_t rate,
		  const struct qcow_merge_kept *kept, struct merger **result,
		  struct qcow_error *error)
{
	struct merger *merger = calloc(1, sizeof(*merger));
	int ret;

	if (!merger) {
		snprintf(error->text, sizeof(error->text), "out of memory");
		return -ENOMEM;
	}
	merger->image = image;
	merger->channel = channel;
	merger->limit.rate = rate;
	merger->last_round = LAST_ROUND;
	sem_init(&merger->begun, 0, 0);
	ret = begin_merge(merger, kept, error);
	if (ret) {
		free(merger);
		return ret;
	}
	ret = -pthread_create(&merger->thread, NULL, merger_thread, merger);
	if (ret) {
		snprintf(error->text, sizeof(error->text),
			 "cannot start a thread: %s", strerror(-ret));
		qcow_merge_close(merger->merge);
		free(merger);
		return ret;
	}
	*result = merger;
	return 0;
}

void merger_begin(struct merger *merger, struct queues *queues)
{
	merger->queues = queues;
	sem_post(&merger->begun);
}

int merger_finish(struct merger *merger, struct qcow_error *error)
{
	return qcow_merge_finish(merger->merge, error);
}

void merger_end(struct merger *merger)
{
	if (!merger)
		return;
	merger->ending = true;
	sem_post(&merger->begun);
	pthread_join(merger->thread, NULL);
	qcow_merge_close(merger->merge);
	sem_destroy(&merger->begun);
	free(merger);
}
