// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Memory for copy-on-write: it comes with the first copy, each cluster has a
 * place of its own, and a place is given out again when its cluster is written.
 */
#include <pthread.h>
#include <string.h>
#include <time.h>

#include "plugin/server/copies.h"
#include "tests/lib/helpers.h"

#define TRIES 10000 /* ms */

/* Keeps the only worker. */
static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;

static void wait_at_gate(struct work *work)
{
	(void)work;
	pthread_mutex_lock(&gate);
	pthread_mutex_unlock(&gate);
}

/* The worker makes the page ready meanwhile. */
static char *take_first(struct copies *copies)
{
	const struct timespec ms = { .tv_nsec = 1000000 };
	static struct work work = { .run = wait_at_gate };
	char *memory = NULL;
	unsigned int i;

	if (huge_state(&copies->page) != HUGE_FREE)
		die("memory before the first copy");
	pthread_mutex_lock(&gate);
	workers_submit(copies->workers, NULL, &work);
	for (i = 0; i < 10; i++)
		if (copies_take(copies))
			die("memory that nobody has made ready");
	pthread_mutex_unlock(&gate);
	for (i = 0; i < TRIES && !memory; i++) {
		nanosleep(&ms, NULL);
		memory = copies_take(copies);
	}
	if (!memory)
		die("no memory");
	return memory;
}

static void test(struct workers *workers, uint32_t size)
{
	const unsigned int count = HUGE_PAGE / size < 64 ? HUGE_PAGE / size :
							   64;
	struct copies copies = { .used = 0 };
	char other[16], *places[64];
	unsigned int i;

	copies_open(&copies, size, workers);
	places[0] = take_first(&copies);
	for (i = 1; i < count; i++) {
		places[i] = copies_take(&copies);
		if (!places[i])
			die("%u: room for %u only", size, i);
	}
	if (copies_take(&copies))
		die("%u: more than there is", size);
	for (i = 0; i < count; i++)
		memset(places[i], 'a' + i, size);
	for (i = 0; i < count; i++)
		if (places[i][0] != (char)('a' + i) ||
		    memcmp(places[i], places[i] + 1, size - 1))
			die("%u: two clusters share memory", size);
	copies_put(&copies, other);
	if (copies_take(&copies))
		die("%u: the place of other memory", size);
	copies_put(&copies, places[count - 1]);
	if (copies_take(&copies) != places[count - 1])
		die("%u: a place is lost", size);
	copies_close(&copies);
}

int main(void)
{
	struct copies none = { .used = 0 };
	struct workers *workers;

	if (workers_create(1, &workers))
		die("no worker");
	test(workers, 512);
	test(workers, 64 << 10);
	test(workers, 2 << 20);
	if (copies_take(&none))
		die("memory of none");
	workers_destroy(workers);
	return 0;
}
