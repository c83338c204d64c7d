// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The wait for an older driver's work: as long as the read of a file takes, but
 * two seconds at most.  The file is a pipe here, to whose reader somebody
 * answers, or nobody.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "plugin/common/process.h"
#include "plugin/server/aftermath.h"
#include "plugin/server/ublk_abi.h"
#include "tests/lib/helpers.h"

#define LATE	200   /* ms */
#define AT_MOST 2000  /* ms, as aftermath.c has it */
#define LONG	10000 /* ms, on a busy host */
#define BLIND	10    /* ms, as aftermath.c has it */

static char *file;

static void *answer_late(void *opaque)
{
	int fd;

	usleep(LATE * 1000);
	fd = open(file, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, "", 1) != 1)
		die("nobody reads");
	close(fd);
	return opaque;
}

/* Each helper ends, and is a child of this process. */
static void expect_end(void)
{
	if (wait(NULL) < 0)
		die("no helper");
	if (wait(NULL) >= 0 || errno != ECHILD)
		die("several helpers");
}

static uint64_t await(const char *name)
{
	struct aftermath aftermath;
	uint64_t begin;

	aftermath_begin(&aftermath, name);
	begin = clock_ms();
	aftermath_await(&aftermath);
	begin = clock_ms() - begin;
	close(aftermath.helper);
	return begin;
}

static void test_wait(void)
{
	pthread_t thread;
	uint64_t time;

	if (pthread_create(&thread, NULL, answer_late, NULL))
		die("no thread");
	time = await(file);
	pthread_join(thread, NULL);
	if (time < LATE / 2)
		die("does not wait: %d ms", (int)time);
	expect_end();
}

static void test_hang(void)
{
	uint64_t time = await(file);

	if (time < AT_MOST - 1 || time > LONG)
		die("waits for %d ms", (int)time);
	answer_late(NULL);
	expect_end();
}

static void test_no_file(void)
{
	uint64_t time = await("/nowhere");

	if (time < BLIND - 1 || time > LONG)
		die("waits for %d ms without a file", (int)time);
	expect_end();
}

/* The clerk has ended, with its group. */
static void test_no_use(void)
{
	struct aftermath aftermath;

	aftermath_begin(&aftermath, file);
	usleep(LATE * 1000);
	signal(SIGTERM, SIG_IGN);
	kill(0, SIGTERM);
	usleep(LATE * 1000);
	if (waitpid(-1, NULL, WNOHANG))
		die("the helper ends with the group");
	close(aftermath.helper);
	expect_end();
}

int main(void)
{
	if (setpgid(0, 0))
		die("no group");
	file = scratch_path("file");
	if (mkfifo(file, 0600))
		die("no pipe");
	if (!aftermath_matters(UBLK_F_USER_COPY) ||
	    aftermath_matters(UBLK_F_QUIESCE))
		die("it matters to other drivers");
	test_wait();
	test_hang();
	test_no_file();
	test_no_use();
	return 0;
}
