// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * One thread at a time holds a latch, and each that waits for it gets it, also
 * where the holder has lost its processor meanwhile.
 */
#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include "tests/lib/helpers.h"
#include "qcow/latch.h"

#define THREADS 4u
#define ROUNDS	20000u

static struct latch latch;
static unsigned int count;  /* not atomic: the latch's to protect */
static unsigned int inside; /* likewise */

static void *take_often(void *argument)
{
	unsigned int number = (uintptr_t)argument;

	for (unsigned int n = 0; n < ROUNDS; n++) {
		latch_take(&latch);
		if (inside++)
			die("two threads hold the latch");
		count++;
		if (n % (16 + number) == 0)
			sched_yield();
		inside--;
		latch_give(&latch);
	}
	return NULL;
}

int main(void)
{
	pthread_t threads[THREADS];

	for (unsigned int n = 0; n < THREADS; n++)
		if (pthread_create(&threads[n], NULL, take_often,
				   (void *)(uintptr_t)n))
			die("cannot start a thread");
	for (unsigned int n = 0; n < THREADS; n++)
		pthread_join(threads[n], NULL);
	if (count != THREADS * ROUNDS)
		die("%u rounds of %u are counted", count, THREADS * ROUNDS);
	if (latch.state)
		die("the latch is not free at the end");
	return 0;
}
