// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A disk's limits, in an invented time: the requests and bytes that pass in a
 * second, their order, and how much passes at once.
 */
#include <stdio.h>
#include <string.h>

#include "plugin/common/disk-options.h"
#include "plugin/server/limits.h"
#include "plugin/server/request.h"
#include "tests/lib/helpers.h"

#define SECOND 1000000000ull
#define TAGS   128

static struct request requests[TAGS];
static uint64_t passed;

/* A guest with so many requests in flight at a time, each of which takes no
   time once it has passed; how many have passed in that time. */
static uint64_t run_guest(struct limits *limits, unsigned int depth,
			  uint64_t begin, uint64_t length)
{
	struct request *request;
	uint64_t now, wait;
	unsigned int i;

	passed = 0;
	for (i = 0; i < depth; i++)
		if (limits_admit(limits, &requests[i], begin))
			die("the bucket was not empty");
	for (now = begin; now < begin + length; now += wait) {
		while ((request = limits_next(limits, now))) {
			passed++;
			while (limits_admit(limits, request, now)) {
				if (limits->first)
					die("passes those that wait");
				passed++;
			}
		}
		wait = limits_wait(limits, now);
		if (!wait || wait >= SECOND)
			die("waits %llu ns", (unsigned long long)wait);
	}
	return passed;
}

static void fill(uint8_t op, uint64_t length)
{
	unsigned int i;

	for (i = 0; i < TAGS; i++)
		requests[i] = (struct request){ .op = op, .length = length };
}

/* The bytes that a full bucket gives at once. */
static uint64_t burst(struct limits *limits, uint64_t now)
{
	static struct request request;
	uint64_t count = 0;

	request = requests[0];
	while (limits_admit(limits, &request, now))
		if (++count > 1000000)
			die("there is no limit");
	if (limits_next(limits, now))
		die("passes at once, and did not");
	if (limits_next(limits, now + 10 * SECOND) != &request)
		die("does not pass later");
	return count;
}

static void expect(const char *name, uint64_t found, uint64_t wanted)
{
	if (found + wanted / 50 + 1 < wanted ||
	    found > wanted + wanted / 50 + 1)
		die("%s: %llu and not %llu", name, (unsigned long long)found,
		    (unsigned long long)wanted);
}

static void test_rate(uint64_t iops, uint64_t bandwidth, uint64_t length,
		      unsigned int depth, uint64_t in_ten_seconds)
{
	const struct disk_options options = { .iops = iops,
					      .bandwidth = bandwidth };
	uint64_t now = 77 * SECOND;
	struct limits limits;
	char name[128];

	snprintf(name, sizeof(name), "%llu iops, %llu bytes, of %llu, depth %u",
		 (unsigned long long)iops, (unsigned long long)bandwidth,
		 (unsigned long long)length, depth);
	fill(UBLK_IO_OP_WRITE, length);
	limits_init(&limits, &options);
	expect(name, burst(&limits, now), in_ten_seconds / 100);
	now += 10 * SECOND;
	/* Empty it, so that the burst does not count. */
	limits.requests.full = limits.bytes.full = now + BUCKET_BURST;
	expect(name, run_guest(&limits, depth, now, 10 * SECOND),
	       in_ten_seconds);
}

/* An idle disk saves up one burst and no more. */
static void test_idle(void)
{
	const struct disk_options options = { .iops = 1000 };
	struct limits limits;

	fill(UBLK_IO_OP_READ, 4096);
	limits_init(&limits, &options);
	burst(&limits, SECOND);
	expect("after an hour", burst(&limits, 3600 * SECOND), 100);
}

static void test_order(void)
{
	const struct disk_options options = { .bandwidth = 1 << 20 };
	struct request big = { .op = UBLK_IO_OP_WRITE, .length = 512 << 10 };
	struct request small = { .op = UBLK_IO_OP_READ, .length = 512 };
	struct request flush = { .op = UBLK_IO_OP_FLUSH };
	struct request discard = { .op = UBLK_IO_OP_DISCARD,
				   .length = 1 << 30 };
	uint64_t now = SECOND;
	struct limits limits;

	limits_init(&limits, &options);
	if (!limits_admit(&limits, &big, now))
		die("more than the bucket holds never passes");
	if (limits_admit(&limits, &big, now) ||
	    limits_admit(&limits, &small, now) ||
	    limits_admit(&limits, &discard, now))
		die("passes in debt");
	if (!limits_admit(&limits, &flush, now))
		die("a flush waits");
	now += SECOND / 2;
	if (limits_next(&limits, now) != &big || limits_next(&limits, now))
		die("the big one is not the first");
	now += SECOND / 2;
	if (limits_next(&limits, now) != &small ||
	    limits_next(&limits, now) != &discard || limits_next(&limits, now))
		die("not in order");
	if (limits_wait(&limits, now))
		die("waits for nothing");
}

static void test_none(void)
{
	const struct disk_options options = { .iops = 0 };
	struct limits limits;
	int i;

	fill(UBLK_IO_OP_WRITE, 512 << 10);
	limits_init(&limits, &options);
	for (i = 0; i < 100000; i++)
		if (!limits_admit(&limits, &requests[0], 5))
			die("there is a limit");
}

int main(void)
{
	test_none();
	test_rate(1000, 0, 4096, 1, 10000);
	test_rate(1000, 0, 4096, 64, 10000);
	test_rate(100000, 0, 512, 1, 1000000);
	test_rate(7, 0, 4096, 16, 70);
	test_rate(0, 10 << 20, 4096, 1, 25600);
	test_rate(0, 64 << 10, 512 << 10, TAGS, 1);
	test_rate(0, 1 << 30, 512 << 10, TAGS, 20480);
	test_rate(100, 10 << 20, 4096, 8, 1000);
	test_rate(100000, 10 << 20, 4096, 8, 25600);
	test_idle();
	test_order();
	return 0;
}
