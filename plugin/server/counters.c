// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The requests of a device, counted.
 *
 * Each I/O thread counts its requests: by plain stores into a part of the
 * mapped file that is its own, no lock and no system call.  It reads the clock
 * once whenever the ring wakes it, for all requests of that batch; so a latency
 * is the time from the wake-up that brought the request to the wake-up that
 * brought its end.
 *
 * The engine counts from its open on and has a lock on its figures, for which
 * the I/O thread must not wait.  Workers fetch them after a call that may have
 * blocked anyway.  Two workers may store them at once; the older ones may stay
 * until the next call.
 */
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "plugin/common/stats.h"
#include "plugin/server/counters.h"
#include "plugin/server/request.h"

void counters_begin_server(struct stats *stats, unsigned int queues)
{
	/* Those that this server does not have, too. */
	for (unsigned int i = 0; i < stats_threads(queues); i++) {
		struct stats_thread thread = stats_thread(stats, i);

		stats_set(thread.in_flight, 0);
		stats_set(thread.transfers, 0);
	}
	stats_set(&stats->progress.server, getpid());
}

void counters_init(struct counters *counters, struct stats *stats,
		   unsigned int thread)
{
	memset(counters, 0, sizeof(*counters));
	counters->stats = stats;
	counters->own = stats_thread(stats, thread);
	counters->cache_hits = stats->cache_hits;
	counters->cache_misses = stats->cache_misses;
	counters->checkpoints = stats->checkpoints;
}

void counters_tick(struct counters *counters)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	counters->now = now.tv_sec * 1000000000ull + now.tv_nsec;
}

void counters_step(struct counters *counters)
{
	stats_add(counters->own.steps, 1);
}

void counters_transfer(struct counters *counters, int change)
{
	stats_add(counters->own.transfers, change);
}

void counters_part(struct counters *counters)
{
	__atomic_fetch_add(&counters->stats->progress.parts, 1,
			   __ATOMIC_RELAXED);
}

void counters_begin(struct counters *counters, struct request *request)
{
	request->began = counters->now;
	stats_add(counters->own.in_flight, 1);
}

/* An operation that we do not know was refused. */
static struct stats_io *io_of(const struct counters *counters,
			      const struct request *request)
{
	static const uint8_t kinds[] = {
		[UBLK_IO_OP_READ] = STATS_READ,
		[UBLK_IO_OP_WRITE] = STATS_WRITE,
		[UBLK_IO_OP_FLUSH] = STATS_FLUSH,
		[UBLK_IO_OP_DISCARD] = STATS_DISCARD,
		[UBLK_IO_OP_WRITE_ZEROES] = STATS_WRITE_ZEROES,
	};

	return &counters->own
			.io[request->op < sizeof(kinds) ? kinds[request->op] :
							  STATS_READ];
}

void counters_end(struct counters *counters, const struct request *request,
		  int result)
{
	struct stats_io *io = io_of(counters, request);
	uint64_t latency = counters->now - request->began;

	stats_add(counters->own.in_flight, -1);
	stats_add(&io->count, 1);
	if (result < 0)
		stats_add(&io->errors, 1);
	else
		stats_add(&io->bytes, request->length);
	stats_add(&io->time, latency);
	stats_add(&io->buckets[stats_bucket(latency)], 1);
	if (latency > io->longest)
		stats_set(&io->longest, latency);
}

void counters_look(const struct counters *counters, struct qcow_image *image)
{
	struct stats *stats = counters->stats;
	struct qcow_stats now;

	qcow_get_stats(image, &now);
	stats_set(&stats->cache_hits, counters->cache_hits + now.cache_hits);
	stats_set(&stats->cache_misses,
		  counters->cache_misses + now.cache_misses);
	stats_set(&stats->checkpoints, counters->checkpoints + now.checkpoints);
	stats_set(&stats->journal_used, now.journal_used);
	stats_set(&stats->journal_size, now.journal_size);
}
