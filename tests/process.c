// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Who lives and who does not: an id that is another's now, a child that nobody
 * has come for, and a moment at which nobody can look.
 */
#include <errno.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "plugin/process.h"
#include "tests/helpers.h"

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

/* Whoever took it for dead would replace it, beside it. */
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

int main(void)
{
	test_child();
	test_unknown();
	return 0;
}
