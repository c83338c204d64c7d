// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The lease.  The owner of an image leaves traces of its last write.  By these
 * a successor sees whether another program wrote to the image afterwards, or
 * put older contents back (R12).  A mark in the image does not tell that: a
 * copy of the image bears the mark, too, and some images have no room for it.
 *
 * At rest, with no write in flight, the record has each file's size and time
 * of modification.  The successor must find exactly these; no clock is asked.
 *
 * With writes in flight the times that they leave are not known yet.  The
 * record then has bounds.  The lower bound is the times as they were a moment
 * ago: an older copy, put back with its times, is older than that.  The upper
 * bound is the lease.  The owner renews the lease before a write begins, and a
 * thread renews it while a write takes long; so the lease ends soon after the
 * owner's death.  A write that the kernel has queued behind others may get its
 * turn later, and stamps the file then: the successor judges by other evidence
 * how much later that may be.  The lease is kept by the clock that nobody sets,
 * with the distance between that clock and the wall clock, by which files are
 * stamped.  The successor's look is in lease-judge.c.
 *
 * On a host that has too little memory or too few processors, a write that has
 * begun may wait for its turn before it stamps the file, and so may the lease's
 * thread.  If the thread has run late lately, the lease is longer.
 *
 * Each thread counts the writes that begin and end in a shard of its own.  No
 * write is in flight if all that have begun had ended before, so the ends are
 * summed up first.  The lease's thread takes the times within TICK_NS of the
 * end of the last write.  They hold if nothing has begun meanwhile: a write
 * counts in the record, too, while the lease is watched.  The watch lasts from
 * before the look for writes in flight to the end of the rest.  The look sees
 * each write that has not seen the watch.  Others end the rest before their
 * I/O. The end of a write does not take the times.  A disk that gets one write
 * at a time would take them after each.  On file systems with times of a fine
 * grain (Linux 6.13) the next write would then have to store a new time, and
 * that costs more than the write.  Without a thread, the caller that ends the
 * last write takes the times.  At most one thread takes them.
 */
#include <signal.h>
#include "qcow/bits.h"
#include "qcow/lease-times.h"

#define RENEW_NS 100000000ull /* how often, at the most */
#define TICK_NS	 50000000ull  /* the thread's */
#define SKEW_NS	 10000000ull
#define LATE_NS	 1000000000ull /* of the thread, as far as it counts */
#define LATE	 4	       /* times as long may a write be kept */

void lease_init(struct lease *lease)
{
	pthread_condattr_t attributes;

	*lease = (struct lease){ .taking = ATOMIC_FLAG_INIT };
	pthread_mutex_init(&lease->lock, NULL);
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&lease->work, &attributes);
	pthread_condattr_destroy(&attributes);
}

/* ---- the owner's record ---- */

static bool is_in_flight(struct lease *lease)
{
	unsigned int count = shards_of_threads(), i;
	uint64_t left = 0;

	for (i = 0; i < count; i++)
		left -= atomic_load(&lease->shards[i].ended);
	for (i = 0; i < count; i++)
		left += atomic_load(&lease->shards[i].begun);
	return left;
}

static bool take_all(struct lease *lease)
{
	struct lease_record *record = lease->record;
	bool taken = true;

	for (unsigned int i = 0; i < LEASE_FILES; i++)
		if (lease->files[i])
			taken &= !lease_take_times(lease->files[i],
						   &record->times[i]);
	return taken;
}

static void take_times(struct lease *lease)
{
	struct lease_record *record = lease->record;
	uint64_t begun;
	bool at_rest;

	if (atomic_flag_test_and_set(&lease->taking))
		return;
	/* A death in between leaves bounds, each of which is one. */
	atomic_store(&record->rest, 0);
	atomic_store(&lease->watched, true);
	begun = atomic_load(&record->begun);
	at_rest = !is_in_flight(lease);
	if (take_all(lease) && at_rest && atomic_load(&record->begun) == begun)
		atomic_store(&record->rest, begun);
	else
		atomic_store(&lease->watched, false);
	atomic_flag_clear(&lease->taking);
}

/* Times of before the clock was set are no bound for those of after. */
static void forget_times(struct lease *lease)
{
	if (atomic_flag_test_and_set(&lease->taking))
		return;
	for (unsigned int i = 0; i < LEASE_FILES; i++)
		lease->record->times[i].modified = 0;
	atomic_flag_clear(&lease->taking);
}

/* A thread that was held up in between must not end a lease that others have
   renewed meanwhile. */
static void extend(_Atomic uint64_t *until, uint64_t to)
{
	uint64_t now = atomic_load(until);

	while (now < to && !atomic_compare_exchange_weak(until, &now, to))
		;
}

static void renew(struct lease *lease)
{
	struct lease_record *record = lease->record;
	uint64_t boot = clock_ns(CLOCK_BOOTTIME);
	int64_t offset = clock_ns(CLOCK_REALTIME) - boot;
	uint64_t mono = clock_ns(CLOCK_MONOTONIC_COARSE);

	if (distance(offset, atomic_load(&record->offset)) > STEP_NS)
		forget_times(lease);
	atomic_store(&lease->skew, clock_ns(CLOCK_REALTIME_COARSE) - mono);
	atomic_store(&lease->due, mono + RENEW_NS);
	atomic_store(&record->offset, offset);
	extend(&record->until,
	       boot + LEASE_NS + LATE * atomic_load(&lease->late));
}

static bool is_due(struct lease *lease)
{
	uint64_t mono = clock_ns(CLOCK_MONOTONIC_COARSE);
	int64_t skew = clock_ns(CLOCK_REALTIME_COARSE) - mono;

	return mono >= atomic_load_explicit(&lease->due,
					    memory_order_relaxed) ||
	       distance(skew, atomic_load_explicit(&lease->skew,
						   memory_order_relaxed)) >
		       SKEW_NS;
}

static void wake_thread(struct lease *lease)
{
	pthread_mutex_lock(&lease->lock);
	atomic_store(&lease->asleep, false);
	pthread_cond_signal(&lease->work);
	pthread_mutex_unlock(&lease->lock);
}

void lease_begin(struct lease *lease)
{
	if (!lease || !lease->record)
		return;
	/* R12: all of this before the write. */
	atomic_fetch_add(&lease->shards[shard_of_thread()].begun, 1);
	if (atomic_load(&lease->watched))
		atomic_fetch_add(&lease->record->begun, 1);
	if (is_due(lease))
		renew(lease);
	if (atomic_load(&lease->asleep))
		wake_thread(lease);
}

void lease_end(struct lease *lease)
{
	if (!lease || !lease->record)
		return;
	atomic_fetch_add(&lease->shards[shard_of_thread()].ended, 1);
	if (!lease->has_thread && !is_in_flight(lease))
		take_times(lease);
}

/* ---- the thread ---- */

static bool is_at_rest(const struct lease *lease)
{
	return atomic_load(&lease->record->rest) ==
	       atomic_load(&lease->record->begun);
}

static void tick(struct lease *lease)
{
	if (is_in_flight(lease))
		renew(lease);
	take_times(lease);
}

/* The thread was to run at that time.  The worst of the last seconds counts. */
static void note_late(struct lease *lease, uint64_t due)
{
	uint64_t now = clock_ns(CLOCK_MONOTONIC), late = now - due;
	uint64_t old = atomic_load(&lease->late);

	if (now < due)
		late = 0;
	atomic_store(&lease->late,
		     max_u64(min_u64(late, LATE_NS), old - old / 64));
}

/* With the lock. */
static void pause_thread(struct lease *lease)
{
	struct timespec until;
	uint64_t ns;

	if (!is_at_rest(lease)) {
		ns = clock_ns(CLOCK_MONOTONIC) + TICK_NS;
		until = (struct timespec){ ns / NS, ns % NS };
		pthread_cond_timedwait(&lease->work, &lease->lock, &until);
		note_late(lease, ns);
		return;
	}
	/* A thread that begins a write counts it, and looks at this then. */
	atomic_store(&lease->asleep, true);
	while (!lease->stopping && is_at_rest(lease))
		pthread_cond_wait(&lease->work, &lease->lock);
	atomic_store(&lease->asleep, false);
}

static void *lease_thread(void *argument)
{
	struct lease *lease = argument;

	pthread_mutex_lock(&lease->lock);
	while (!lease->stopping) {
		pause_thread(lease);
		if (!lease->stopping && !is_at_rest(lease))
			tick(lease);
	}
	pthread_mutex_unlock(&lease->lock);
	return NULL;
}

static int start_thread(struct lease *lease)
{
	sigset_t all, old;
	int ret;

	/* Signals are for the program's own threads. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	ret = -pthread_create(&lease->thread, NULL, lease_thread, lease);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	lease->has_thread = !ret;
	return ret;
}

/* ---- begin and end ---- */

int lease_start(struct lease *lease, struct lease_record *record,
		const struct file *image, const struct file *data,
		bool with_thread)
{
	if (!lease_can_tell(image))
		return 0;
	lease->record = record;
	lease->files[0] = image;
	lease->files[1] = data && lease_can_tell(data) ? data : NULL;
	renew(lease);
	/* All that was in flight has ended with the fence (R14). */
	atomic_fetch_add(&record->begun, 1);
	take_times(lease);
	return with_thread ? start_thread(lease) : 0;
}

void lease_stop(struct lease *lease)
{
	if (lease->has_thread) {
		pthread_mutex_lock(&lease->lock);
		lease->stopping = true;
		pthread_cond_signal(&lease->work);
		pthread_mutex_unlock(&lease->lock);
		pthread_join(lease->thread, NULL);
	}
	lease->has_thread = false;
	lease->record = NULL;
	pthread_cond_destroy(&lease->work);
	pthread_mutex_destroy(&lease->lock);
}
