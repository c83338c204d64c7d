// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The figures of a disk: buckets without a gap, percentiles to an eighth,
 * differences, a file that outlives its writer and is refused to others, and
 * the last ten stalls.
 */
#include <errno.h>
#include <limits.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "plugin/common/process.h"
#include "plugin/common/stats.h"
#include "tests/lib/helpers.h"

#define ID    7
#define NONCE 0x1234567890ull

static void test_buckets(void)
{
	uint64_t end;
	unsigned int i;

	for (i = 0; i + 1 < STATS_BUCKETS; i++) {
		end = stats_bucket_end(i);
		if (stats_bucket(end - 1) != i || stats_bucket(end) != i + 1)
			die("bucket %u does not end at %llu", i,
			    (unsigned long long)end);
	}
	if (stats_bucket(UINT64_MAX) != STATS_BUCKETS - 1)
		die("the longest latency has no bucket");
}

static void count(struct stats_io *io, uint64_t latency)
{
	io->count++;
	io->buckets[stats_bucket(latency)]++;
	if (latency > io->longest)
		io->longest = latency;
}

static void expect_about(uint64_t found, uint64_t wanted)
{
	if (found < wanted || found > wanted + wanted / 8 + 128)
		die("%llu ns and not %llu", (unsigned long long)found,
		    (unsigned long long)wanted);
}

static void test_percentiles(void)
{
	struct stats_io io = { 0 }, more, difference;
	unsigned int i;

	if (stats_percentile(&io, 500))
		die("a percentile of nothing");
	for (i = 1; i <= 1000; i++)
		count(&io, i * 10000ull);
	expect_about(stats_percentile(&io, 500), 5000000);
	expect_about(stats_percentile(&io, 990), 9900000);
	if (stats_percentile(&io, 1000) != 10000000)
		die("the longest is not exact");

	more = io;
	for (i = 0; i < 100; i++)
		count(&more, 2000);
	stats_difference(&more, &io, &difference);
	if (difference.count != 100)
		die("an interval of %d", (int)difference.count);
	expect_about(stats_percentile(&difference, 999), 2000);
	/* A disk that is new under an old name. */
	stats_difference(&io, &more, &difference);
	if (difference.count != 1000)
		die("a new disk lacks requests");
}

static void test_file(void)
{
	struct stats *mapped, *again, read;

	if (stats_read(ID, NONCE, &read) != -ENOENT)
		die("figures of nothing");
	if (stats_map(ID, NONCE, 1, &mapped))
		die("no file");
	if (!fork()) {
		stats_add(&mapped->io[STATS_WRITE].count, 5);
		abort();
	}
	wait(NULL);
	if (stats_read(ID, NONCE, &read) || read.io[STATS_WRITE].count != 5)
		die("the figures died with their writer");
	if (stats_read(ID, NONCE + 1, &read) != -ENOENT)
		die("the figures of another disk");
	if (stats_map(ID, NONCE, 1, &again) ||
	    again->io[STATS_WRITE].count != 5)
		die("the next one does not count on");
	mapped->version++;
	if (stats_read(ID, NONCE, &read) != -EPROTO)
		die("another version is read");
	if (stats_map(ID, NONCE, 1, &again) || again->io[STATS_WRITE].count)
		die("another version is counted on");
	stats_rename(ID, ID + 1);
	if (stats_read(ID + 1, NONCE, &read))
		die("the file did not move");
	stats_forget(ID + 1);
	if (stats_read(ID + 1, NONCE, &read) != -ENOENT)
		die("the file stays");
}

#define QUEUES 3

static void test_threads(void)
{
	struct stats *mapped, read;

	if (stats_map(ID, NONCE, QUEUES, &mapped))
		die("no file");
	for (unsigned int i = 0; i < QUEUES; i++) {
		struct stats_thread thread = stats_thread(mapped, i);

		count(&thread.io[STATS_WRITE], 1000 * (i + 1));
		stats_set(thread.in_flight, i);
		stats_set(thread.steps, 10 * i);
	}
	if (stats_read(ID, NONCE, &read))
		die("the figures of threads cannot be read");
	if (read.io[STATS_WRITE].count != QUEUES ||
	    read.in_flight != 0 + 1 + 2 ||
	    read.io[STATS_WRITE].longest != 1000 * QUEUES ||
	    read.progress.steps != 0 + 10 + 20)
		die("not those of all threads");
	if (mapped->io[STATS_WRITE].count != 1)
		die("a thread counts for another");
	/* As a server that was taken over might (P6). */
	mapped->length += 1000000;
	if (stats_read(ID, NONCE, &read) != -EPROTO)
		die("any length is believed");
	stats_forget(ID);
}

/* The figures of a version before go on, and its server may count on. */
static void test_old_file(uint32_t version, uint32_t length)
{
	struct stats *old, *new;
	char path[PATH_MAX];

	if (stats_map(ID, NONCE, 1, &old))
		die("no file");
	stats_add(&old->io[STATS_READ].count, 3);
	old->progress.steps = 7;
	old->version = version;
	old->length = length;
	snprintf(path, sizeof(path), "%s/%d.stats", getenv("UBLK_QCOW2_RUN"),
		 ID);
	if (truncate(path, old->length))
		die("cannot make it short");
	if (stats_map(ID, NONCE, QUEUES, &new) ||
	    new->io[STATS_READ].count != 3)
		die("the figures are lost");
	if (*stats_thread(new, QUEUES - 1).steps)
		die("a thread begins with something");
	stats_add(&old->io[STATS_READ].count, 1);
	if (new->io[STATS_READ].count != 4 || new->poisoned)
		die("it is another file");
	if (new->progress.steps != (version == 1 ? 0 : 7))
		die("the progress is lost, or comes from nowhere");
	stats_forget(ID);
}

static void test_stalls(void)
{
	static struct stats stats;
	char cause[16];
	unsigned int i;

	stats_end_stall(&stats);
	if (stats_stall(&stats, 0) || stats_last_stall(&stats))
		die("a stall before any");
	for (i = 0; i < 13; i++) {
		snprintf(cause, sizeof(cause), "cause %u", i);
		stats_begin_stall(&stats, cause, clock_ms());
		stats_begin_stall(&stats, "the same pause", 0);
		stats_end_stall(&stats);
	}
	if (stats.nr_stalls != 13 || stats_stall(&stats, 10))
		die("not the last ten");
	if (strcmp(stats_stall(&stats, 0)->cause, "cause 12") ||
	    strcmp(stats_stall(&stats, 9)->cause, "cause 3"))
		die("not in order");
	if (!stats_last_stall(&stats) || stats_last_stall(&stats)->ms > 1000)
		die("the last stall");
}

int main(void)
{
	char directory[] = "/tmp/stats-XXXXXX";

	if (!mkdtemp(directory) || setenv("UBLK_QCOW2_RUN", directory, 1))
		die("cannot begin");
	test_buckets();
	test_percentiles();
	test_file();
	test_threads();
	test_old_file(1, offsetof(struct stats, progress));
	test_old_file(2, offsetof(struct stats, poisoned));
	test_old_file(3, sizeof(struct stats));
	test_stalls();
	rmdir(directory);
	return 0;
}
