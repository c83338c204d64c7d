// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Does a process live?  The cases: an id that another process or a thread has
 * now, a child that is not reaped yet, and a moment at which a look is not
 * possible.  And what a dead one has left can be killed.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "plugin/common/process.h"
#include "tests/lib/helpers.h"

static void expect(const char *who, const struct process *process, bool alive,
		   int open_error)
{
	int pidfd;
	int ret = process_open(process, &pidfd);

	if (process_alive(process) != alive)
		die("%s: is %s", who, alive ? "dead" : "alive");
	if (ret != open_error)
		die("%s: process_open: %d and not %d", who, ret, open_error);
	if (!ret)
		close(pidfd);
}

/* Waits for its end without taking it away. */
static void end(const struct process *child)
{
	siginfo_t info;

	kill(child->pid, SIGKILL);
	if (waitid(P_PID, child->pid, &info, WEXITED | WNOWAIT))
		die("waitid");
}

static void test_child(void)
{
	struct process child, later;
	pid_t pid = fork();

	if (!pid)
		for (;;)
			pause();
	if (process_identify(pid, &child))
		die("it cannot be identified");
	expect("a child", &child, true, 0);
	later = child;
	later.start--;
	expect("whose id is the child's now", &later, false, -ESRCH);
	end(&child);
	expect("a child that is dead", &child, false, -ESRCH);
	waitpid(pid, NULL, 0);
	expect("one that has gone", &child, false, -ESRCH);
	if (process_identify(pid, &later) != -ESRCH)
		die("one that has gone is identified");
}

static void *stay(void *opaque)
{
	for (;;)
		pause();
	return opaque;
}

static void wait_for_state(pid_t pid, char state)
{
	char path[32], line[256], found;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	do {
		usleep(1000);
		file = fopen(path, "r");
		if (!file || !fgets(line, sizeof(line), file) ||
		    sscanf(strrchr(line, ')') + 1, " %c", &found) != 1)
			die("%s cannot be read", path);
		fclose(file);
	} while (found != state);
}

/* Its first thread has ended; another one may still write. */
static void test_last_thread(void)
{
	pthread_t last;
	struct process child;
	pid_t pid = fork();

	if (!pid) {
		if (pthread_create(&last, NULL, stay, NULL))
			_exit(1);
		pthread_exit(NULL);
	}
	if (process_identify(pid, &child))
		die("it cannot be identified");
	wait_for_state(pid, 'Z');
	expect("a child with a thread left", &child, true, 0);
	if (!process_is_ending(&child))
		die("a child without its first thread goes on");
	end(&child);
	expect("a child without", &child, false, -ESRCH);
	waitpid(pid, NULL, 0);
}

static void *tell_id(void *id)
{
	*(pid_t *)id = gettid();
	return stay(id);
}

/* The kernel has an answer of its own for the id of a thread, and gives it,
   too, while a process is being reaped. */
static void test_id_of_thread(void)
{
	static _Atomic pid_t id;
	struct process gone;
	pthread_t thread;

	if (process_identify(getpid(), &gone) ||
	    pthread_create(&thread, NULL, tell_id, (void *)&id))
		die("a thread");
	while (!id)
		usleep(1000);
	gone.pid = id;
	gone.start--;
	expect("whose id is a thread's now", &gone, false, -ESRCH);
}

/* A supervisor that took it for dead would start another one beside it. */
static void test_unknown(void)
{
	struct process none = { .pid = 0 }, self;
	struct rlimit limit, no_more;

	if (process_identify(getpid(), &self) ||
	    getrlimit(RLIMIT_NOFILE, &limit))
		die("self");
	expect("self", &self, true, 0);
	no_more = limit;
	no_more.rlim_cur = 0;
	setrlimit(RLIMIT_NOFILE, &no_more);
	expect("self, without descriptors", &self, true, -EMFILE);
	expect("nobody", &none, false, -ESRCH);
	setrlimit(RLIMIT_NOFILE, &limit);
	expect("self, again", &self, true, 0);
}

/* It leads a group, as a server does, and leaves a child that is stopped. */
static void __attribute__((noreturn)) lead(int ready)
{
	pid_t left;

	setsid();
	left = fork();
	if (!left)
		for (;;)
			raise(SIGSTOP);
	if (write(ready, &left, sizeof(left)) != sizeof(left))
		_exit(1);
	_exit(0);
}

static void test_group(bool reaped)
{
	int ready[2], pidfd, status;
	siginfo_t info;
	pid_t pid, left;

	if (pipe(ready))
		die("no pipe");
	pid = fork();
	if (!pid)
		lead(ready[1]);
	if (process_hold(pid, &pidfd) ||
	    read(ready[0], &left, sizeof(left)) != sizeof(left))
		die("no leader");
	if (waitid(P_PID, pid, &info, WEXITED | (reaped ? 0 : WNOWAIT)))
		die("waitid");
	wait_for_state(left, 'T');
	process_kill_group(pidfd);
	if (waitpid(left, &status, 0) != left || !WIFSIGNALED(status) ||
	    WTERMSIG(status) != SIGKILL)
		die("the rest of the group: status %#x", status);
	if (!reaped)
		waitpid(pid, NULL, 0);
	/* Nobody is left in it. */
	process_kill_group(pidfd);
	close(pidfd);
	close(ready[0]);
	close(ready[1]);
}

int main(void)
{
	test_child();
	test_last_thread();
	test_id_of_thread();
	test_unknown();
	/* Children of dead ones become ours. */
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	test_group(false);
	test_group(true);
	return 0;
}
