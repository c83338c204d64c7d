// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The death of each process behind a legacy image: a reader, one that hangs,
 * the keeper, the server.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>
#include "tests/engine/legacy.h"

/* The only child of a process, or 0. */
static pid_t child_of(pid_t parent)
{
	char path[64];
	FILE *file;
	int pid = 0;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", parent,
		 parent);
	file = fopen(path, "r");
	if (!file || fscanf(file, "%d", &pid) != 1)
		pid = 0;
	if (file)
		fclose(file);
	return pid;
}

/* The id of the thread that reads, once it is about to read. */
static _Atomic pid_t reading;

static void *read_a_sector(void *legacy)
{
	uint8_t sector[512];

	reading = gettid();
	return (void *)(intptr_t)legacy_read(legacy, sector, 65536, 512);
}

/* Waits until the request is under way, because only such a request must
   fail. */
static void wait_for_request(void)
{
	while (!reading || run("grep -q '^State:.S' /proc/%d/task/%d/status",
			       getpid(), reading))
		usleep(20 * 1000);
	usleep(100 * 1000);
}

/* Waits until the keeper has another reader than that one. */
static void wait_for_successor(pid_t keeper, pid_t reader)
{
	pid_t next;

	do {
		usleep(20 * 1000);
		next = child_of(keeper);
	} while (!next || next == reader);
}

/* A read while the reader is stopped.  Meanwhile the reader is killed, or
   not. */
static void test_reader_death(struct legacy *legacy, bool killed)
{
	pid_t reader = child_of(child_of(getpid()));
	pthread_t thread;
	void *ret;

	if (!reader)
		die("there is no reader");
	kill(reader, SIGSTOP);
	reading = 0;
	pthread_create(&thread, NULL, read_a_sector, legacy);
	wait_for_request();
	if (killed)
		kill(reader, SIGKILL);
	pthread_join(thread, &ret);
	if ((intptr_t)ret != -EIO)
		die("a read whose reader %s: %ld",
		    killed ? "was killed" : "hung", (long)(intptr_t)ret);
	read_all(legacy, killed ? "after a death" : "after a hang");
}

/* Does the process come to hold so many descriptors?  It may still be closing
   those that it was born with. */
static bool holds(pid_t pid, unsigned int count)
{
	for (unsigned int n = 0; n < 1500; n++) {
		if (!run("test $(ls /proc/%d/fd | wc -l) = %u", pid, count))
			return true;
		usleep(20 * 1000);
	}
	return false;
}

/* The descriptors of the two processes: sockets and the image; the keeper also
   has its reader and its server. */
static void test_descriptors(void)
{
	pid_t keeper = child_of(getpid());

	if (!holds(keeper, 5))
		die("the keeper's descriptors");
	if (!holds(child_of(keeper), 2))
		die("the reader's descriptors");
	if (run("grep -q '^NoNewPrivs:.1' /proc/%d/status", child_of(keeper)) ||
	    run("grep -q '^CapPrm:.0*$' /proc/%d/status", child_of(keeper)) ||
	    !run("grep -qP '^[UG]id:.*\\t0\\b' /proc/%d/status",
		 child_of(keeper)))
		die("the reader is not in its jail");
	/* The keeper keeps one of root's privileges: it may read files. */
	if (run("grep -q '^NoNewPrivs:.1' /proc/%d/status", keeper) ||
	    run("grep -q '^CapPrm:.0*[04]$' /proc/%d/status", keeper) ||
	    !run("grep -qP '^Uid:\\t0\\b' /proc/%d/status", keeper))
		die("the keeper has privileges");
}

static bool is_gone(pid_t pid)
{
	for (int n = 0; n < 600; n++) {
		/* nobody may have reaped a zombie */
		if (run("grep -q '^State:.[^Z]' /proc/%d/status 2>/dev/null",
			pid))
			return true;
		usleep(50 * 1000);
	}
	return false;
}

/* Without its keeper, no other reader is started, and the old reader must
   end. */
static void test_keeper_death(struct legacy *legacy)
{
	pid_t keeper = child_of(getpid());
	pid_t reader = child_of(keeper);
	uint8_t sector[512];
	siginfo_t info;

	kill(keeper, SIGKILL);
	waitid(P_PID, keeper, &info, WEXITED | WNOWAIT);
	for (unsigned int n = 0; n < 2; n++) {
		int ret = legacy_read(legacy, sector, 65536, 512);

		if (ret != -EOWNERDEAD)
			die("a read without a keeper: %d", ret);
	}
	if (!is_gone(reader))
		die("the reader outlives its keeper");
}

void test_deaths(void)
{
	struct legacy *legacy;
	struct file file;
	pid_t keeper, reader;

	images_make(&images, "-f raw -c -O qcow");
	legacy = images_open(&images, "deaths", NULL, QCOW_CACHE_NONE, &file);
	test_descriptors();
	test_reader_death(legacy, true);
	test_reader_death(legacy, true);
	/* the keeper replaces a reader that dies with nothing to do */
	keeper = child_of(getpid());
	reader = child_of(keeper);
	kill(reader, SIGKILL);
	wait_for_successor(keeper, reader);
	read_all(legacy, "after a quiet death");
	test_reader_death(legacy, false);
	test_keeper_death(legacy);
	legacy_close(legacy);
	if (child_of(getpid()))
		die("a keeper outlives its image");
	file_close(&file);
}

/* The processes of a legacy image do not outlive a server that is killed. */
void test_server_death(void)
{
	pid_t server = fork(), keeper = 0, reader = 0;

	if (!server) {
		struct file file;

		images_open(&images, "server", NULL, QCOW_CACHE_NONE, &file);
		for (;;)
			pause();
	}
	for (int n = 0; n < 600 && !reader; n++) {
		usleep(50 * 1000);
		keeper = child_of(server);
		reader = keeper ? child_of(keeper) : 0;
	}
	usleep(300 * 1000);
	kill(server, SIGKILL);
	waitpid(server, NULL, 0);
	if (!reader || !is_gone(keeper) || !is_gone(reader))
		die("processes outlive their server");
}
