// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Two threads in turn make the calls of a queue, each in its part of the disk.
 * shared-writes.sh sees the cache lines that both have written to.
 *
 * A turn is between two writes to marks, whose addresses are printed first.
 * One write is in flight all the time, as on a disk under load.  A write that
 * begins at rest would have to tell of that (lease.c).
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include "tests/lib/helpers.h"
#include "qcow/qcow.h"

#define CLUSTER 65536ull
#define CALLS	8u  /* of each thread in a turn */
#define ROUNDS	10u /* of both threads; in some, a clock may have run out */

static struct qcow_image *image;
static volatile char mark_reads, mark_writes, mark_end;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t passed = PTHREAD_COND_INITIALIZER;
static volatile unsigned int turn; /* outside of the marks */

static void open_image(void)
{
	struct qcow_options options = { .journal_dir = scratch() };
	struct qcow_error error = { "" };
	char *path = scratch_path("disk.qcow2");
	static char data[CLUSTER];

	must_run("qemu-img create -q -f qcow2 %s 64M", path);
	if (qcow_open(path, &options, &image, &error))
		die("%s", error.text);
	for (unsigned int n = 0; n < 4 * CALLS + 1; n++)
		if (qcow_write(image, data, n * CLUSTER, CLUSTER))
			die("cannot write");
	if (qcow_flush(image))
		die("cannot flush");
	free(path);
}

static void one(bool write, unsigned int cluster)
{
	struct qcow_io io;
	int ret = write ? qcow_map_write(image, &io, cluster * CLUSTER, 4096) :
			  qcow_map_read(image, &io, cluster * CLUSTER, 4096);

	if (ret || qcow_finish(image, &io, 0))
		die("a request is not mapped");
}

/* Neighbours in the same table are the other thread's. */
static void calls(bool write, unsigned int nr)
{
	for (unsigned int n = 0; n < CALLS; n++)
		one(write, 2 * n + nr);
}

static void *take_turns(void *argument)
{
	const unsigned int nr = (uintptr_t)argument;

	pthread_mutex_lock(&lock);
	for (unsigned int n = 0; n < ROUNDS; n++) {
		while (turn != 2 * n + nr)
			pthread_cond_wait(&passed, &lock);
		mark_reads = 1;
		calls(false, nr);
		mark_writes = 1;
		calls(true, nr);
		mark_end = 1;
		turn++;
		pthread_cond_broadcast(&passed);
	}
	pthread_mutex_unlock(&lock);
	return NULL;
}

int main(void)
{
	const struct timespec tick = { .tv_nsec = 200000000 };
	struct qcow_io in_flight;
	pthread_t ids[2];

	fprintf(stderr, "\nmarks %08lx %08lx %08lx\n", (long)&mark_reads,
		(long)&mark_writes, (long)&mark_end);
	open_image();
	if (qcow_map_write(image, &in_flight, 4 * CALLS * CLUSTER, 4096))
		die("a write is not mapped");
	nanosleep(&tick, NULL);
	for (unsigned int n = 0; n < 2; n++)
		if (pthread_create(&ids[n], NULL, take_turns,
				   (void *)(uintptr_t)n))
			die("cannot start a thread");
	for (unsigned int n = 0; n < 2; n++)
		pthread_join(ids[n], NULL);
	if (qcow_finish(image, &in_flight, 0) || qcow_close(image))
		die("the end");
	return 0;
}
