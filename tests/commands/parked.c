// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Requests that are parked because of another I/O thread's: no end of a request
 * is overlooked, in whichever order the two threads get to it, and none waits
 * for ever while others overtake it.
 *
 * The engine is a flag here: while it is set, a request cannot be mapped.
 */
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "plugin/server/request-inside.h"
#include "tests/lib/helpers.h"

#define ROUNDS	 20000
#define PATIENCE 20000 /* ms */

static struct shared shared = { .threads = 2 };
static struct requests ours, theirs;
static struct request request = { .all = &ours, .length = 4096 };
static atomic_bool held;
static atomic_uint round_begun;
static bool mapped, with_worker;
static bool ends_between; /* the engine's answer, and the parking */

void request_try(struct request *tried)
{
	if (!atomic_load(&held)) {
		mapped = true;
		return;
	}
	if (ends_between) {
		atomic_store(&held, false);
		wake_elsewhere(&theirs);
	}
	park(tried);
}

void give_to_worker(struct request *given)
{
	(void)given;
	with_worker = true;
}

static void init(struct requests *all, unsigned int thread)
{
	all->shared = &shared;
	all->thread = thread;
	all->under_way = 1; /* so a worker is not asked at once */
	shared.of[thread] = all;
	take_parked(all);
	if (finished_create(&all->finished))
		die("no eventfd");
}

static void spin(unsigned int times)
{
	while (times--)
		__asm__ volatile("");
}

/* The other thread ends the request that is in the way. */
static void *end_requests(void *unused)
{
	(void)unused;
	for (unsigned int n = 1; n <= ROUNDS; n++) {
		while (atomic_load(&round_begun) < n)
			;
		spin(n % 257);
		atomic_store(&held, false);
		wake_elsewhere(&theirs);
	}
	return NULL;
}

static void wait_for_wake_up(unsigned int n)
{
	struct pollfd fd = {
		.fd = finished_fd(ours.finished),
		.events = POLLIN,
	};
	uint64_t wakeups;

	if (poll(&fd, 1, PATIENCE) != 1)
		die("round %u: nobody wakes us", n);
	if (read(fd.fd, &wakeups, sizeof(wakeups)) < 0)
		die("the eventfd cannot be read");
}

static void one_round(unsigned int n)
{
	request.tries = 0;
	mapped = false;
	atomic_store(&held, true);
	atomic_store(&round_begun, n);
	spin(n % 263);
	request_try(&request);
	requests_retry(&ours);
	while (!mapped) {
		wait_for_wake_up(n);
		requests_retry(&ours);
	}
	if (ours.parked || with_worker)
		die("round %u: it is mapped, and parked as well", n);
}

static void test_wake_ups(void)
{
	pthread_t other;

	if (pthread_create(&other, NULL, end_requests, NULL))
		die("no thread");
	for (unsigned int n = 1; n <= ROUNDS; n++)
		one_round(n);
	pthread_join(other, NULL);
	requests_retry(&ours);
	if (atomic_load(&shared.parked))
		die("the bit stays");
}

/* The other thread saw no bit yet, so it wakes nobody. */
static void test_between(void)
{
	mapped = false;
	ends_between = true;
	atomic_store(&held, true);
	request_try(&request);
	requests_retry(&ours);
	if (!mapped || ours.parked)
		die("the end of the other request is overlooked");
	ends_between = false;
}

static void test_overtaken(void)
{
	unsigned int tries;

	request.tries = 0;
	atomic_store(&held, true);
	request_try(&request);
	for (tries = 0; !with_worker; tries++) {
		if (tries > 1000)
			die("it is overtaken for ever");
		wake_elsewhere(&theirs);
		requests_retry(&ours);
	}
	if (tries < 2)
		die("it goes to a worker at once");
	if (ours.parked)
		die("it is with a worker, and parked as well");
}

int main(void)
{
	init(&ours, 0);
	init(&theirs, 1);
	test_between();
	test_wake_ups();
	test_overtaken();
	return 0;
}
