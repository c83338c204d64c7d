// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Lives in which all takes long, of an image without a mark: a write that takes
 * longer than the lease, which is renewed meanwhile; and an owner whose threads
 * run late, whose lease is longer then.
 */
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "tests/engine/put-back.h"
#include "tests/lib/helpers.h"
#include "qcow/image.h"

/* Lets three leases pass.  The lease's thread has to run now and then.  If this
   thread did not run for a third of a lease, the other one may not have run,
   either.  Then the machine is too busy to tell, and the function returns
   false. */
static bool let_leases_pass(void)
{
	const unsigned int step = 10;
	struct timespec before, now;
	bool steady = true;
	unsigned int i;

	clock_gettime(CLOCK_MONOTONIC, &before);
	for (i = 0; i < 3 * LEASE_MS / step; i++) {
		usleep(step * 1000);
		clock_gettime(CLOCK_MONOTONIC, &now);
		steady &= (now.tv_sec - before.tv_sec) * 1000 +
				  (now.tv_nsec - before.tv_nsec) / 1000000 <
			  LEASE_MS / 3;
		before = now;
	}
	return steady;
}

/* Returns let_leases_pass(). */
static bool live_slowly(void)
{
	struct qcow_options options = plain_options();
	struct qcow_error error;
	struct qcow_image *image;
	struct qcow_io io;
	uint8_t bytes[QCOW_SECTOR] = { 2 };
	bool steady;
	int fd;

	options.inline_checkpoint = false;
	options.cache = QCOW_CACHE_WRITEBACK;
	image = try_open(&options, &error);
	if (!image)
		die("the first open: %s", error.text);
	write_piece(image, 2 * PIECE, 2);
	write_piece(image, 6 * PIECE, 3);
	if (qcow_map_write(image, &io, 2 * PIECE, PIECE))
		die("a write cannot be mapped");
	qcow_fds(image, &fd, 1);
	steady = let_leases_pass();
	if (pwrite(fd, bytes, sizeof(bytes), io.extents[0].offset) < 0)
		die("a write failed");
	return steady;
}

/* A life that ends with the write; false: the machine was too busy to tell. */
static bool slow_life(enum shape shape)
{
	pid_t child;
	int status;

	make(shape);
	child = fork();
	if (!child)
		kill(getpid(), live_slowly() ? SIGKILL : SIGUSR1);
	waitpid(child, &status, 0);
	return WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
}

static void test_long_write(void)
{
	unsigned int tries = 20;

	while (!slow_life(VERSION_2))
		if (!--tries)
			die("this machine is too busy");
	expect_replayed("a write that takes long");
}

/* ---- an owner that gets no processor ---- */

static uint64_t lease_left_ms(const struct qcow_image *image)
{
	uint64_t until = atomic_load(&image->journal.header->lease.until);
	struct timespec now;
	int64_t left;

	clock_gettime(CLOCK_BOOTTIME, &now);
	left = until - now.tv_sec * 1000000000ll - now.tv_nsec;
	return left > 0 ? left / 1000000 : 0;
}

/* Stops, as if others had all processors.  Ends when the lease is longer for
   it, with a write in flight. */
static void live_starved(void)
{
	struct qcow_options options = plain_options();
	struct qcow_error error;
	struct qcow_image *image;
	struct qcow_io io;
	unsigned int tries = 20;

	options.inline_checkpoint = false;
	image = try_open(&options, &error);
	if (!image)
		die("the first open: %s", error.text);
	write_piece(image, 2 * PIECE, 2);
	write_piece(image, 6 * PIECE, 3);
	if (qcow_map_write(image, &io, 2 * PIECE, PIECE))
		die("a write cannot be mapped");
	/* The lease's thread has to be at work when it is stopped, and to run
	   afterwards. */
	while (lease_left_ms(image) < 5 * LEASE_MS) {
		if (!--tries)
			die("the lease of a starved owner is no longer");
		usleep(LEASE_MS / 3 * 1000);
		raise(SIGSTOP);
		usleep(LEASE_MS / 3 * 1000);
	}
	kill(getpid(), SIGKILL);
}

static void starve(void)
{
	pid_t child;
	int status;

	make(VERSION_2);
	child = fork();
	if (!child)
		live_starved();
	while (waitpid(child, &status, WUNTRACED) == child &&
	       WIFSTOPPED(status)) {
		usleep(2 * LEASE_MS * 1000);
		kill(child, SIGCONT);
	}
	if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL)
		die("the life failed");
}

static void test_starved(void)
{
	starve();
	usleep((LEASE_MS + 50) * 1000);
	in_scratch("touch image");
	expect_replayed("a late stamp of a starved owner");

	starve();
	set_clock_back();
	expect_refused("the clock was set, starved", "nothing tells");
}

void test_slow(void)
{
	test_long_write();
	test_starved();
}
