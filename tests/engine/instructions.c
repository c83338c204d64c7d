// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The calls that a queue makes for each I/O, in a row, for others to count or
 * to time.  No data moves: only the engine's own work is left.
 *
 *   read     a 4 KiB read of mapped bytes, begun and finished
 *   write    the same for a write in place
 *   fresh    a write that gets a new cluster
 *
 * With two arguments, threads and rounds, that many threads read at once, each
 * its own part of the disk; the program prints reads a second.  Without
 * arguments each call runs in a function of its name, and instructions.sh
 * counts in these functions.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include "tests/lib/helpers.h"
#include "qcow/qcow.h"

#define CLUSTER	    65536ull
#define CLUSTERS    512 /* mapped at first; as many others are not mapped */
#define THREADS_MAX 16

static struct qcow_image *image;

static void open_image(void)
{
	struct qcow_options options = {
		.journal_dir = scratch(),
		.inline_checkpoint = true,
	};
	struct qcow_error error = { "" };
	char *path = scratch_path("disk.qcow2");
	static char data[CLUSTER];

	must_run("qemu-img create -q -f qcow2 %s 64M", path);
	if (qcow_open(path, &options, &image, &error))
		die("%s", error.text);
	for (unsigned int n = 0; n < CLUSTERS; n++)
		if (qcow_write(image, data, n * CLUSTER, CLUSTER))
			die("cannot write");
	/* The read brings the other half's table into the cache. */
	if (qcow_read(image, data, CLUSTERS * CLUSTER, 4096))
		die("cannot read");
	if (qcow_flush(image))
		die("cannot flush");
	free(path);
}

static void one_read(unsigned int n)
{
	struct qcow_io io;

	if (qcow_map_read(image, &io, n % CLUSTERS * CLUSTER, 4096) ||
	    qcow_finish(image, &io, 0))
		die("a read is not mapped");
}

static void one_write(uint64_t cluster)
{
	struct qcow_io io;

	if (qcow_map_write(image, &io, cluster * CLUSTER, 4096) ||
	    qcow_finish(image, &io, 0))
		die("a write is not mapped");
}

/* ---- to count in ---- */

#define COUNTED __attribute__((noinline))

static COUNTED void measure_read(void)
{
	for (unsigned int n = 0; n < CLUSTERS; n++)
		one_read(n);
}

static COUNTED void measure_write(void)
{
	for (unsigned int n = 0; n < CLUSTERS; n++)
		one_write(n);
}

static COUNTED void measure_fresh(void)
{
	for (unsigned int n = 0; n < CLUSTERS; n++)
		one_write(CLUSTERS + n);
}

/* ---- to time ---- */

static unsigned long rounds;
static unsigned int threads;

static void *read_part(void *argument)
{
	unsigned int nr = (uintptr_t)argument;
	unsigned int part = CLUSTERS / threads;

	for (unsigned long n = 0; n < rounds; n++)
		one_read(nr * part + n % part);
	return NULL;
}

static double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec + time.tv_nsec / 1e9;
}

static void time_threads(void)
{
	pthread_t ids[THREADS_MAX];
	double start = now();

	for (unsigned int n = 0; n < threads; n++)
		if (pthread_create(&ids[n], NULL, read_part,
				   (void *)(uintptr_t)n))
			die("cannot start a thread");
	for (unsigned int n = 0; n < threads; n++)
		pthread_join(ids[n], NULL);
	printf("%u threads: %.2f million reads a second\n", threads,
	       threads * rounds / (now() - start) / 1e6);
}

int main(int argc, char **argv)
{
	open_image();
	if (argc == 3) {
		threads = atoi(argv[1]);
		rounds = atol(argv[2]);
		if (threads < 1 || threads > THREADS_MAX)
			die("1 to %d threads", THREADS_MAX);
		time_threads();
	} else {
		measure_read();
		measure_write();
		measure_fresh();
	}
	return qcow_close(image) ? 1 : 0;
}
