// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Children of the hook.
 *
 * libvirt waits for the end of the hook, and then, without a limit, for every
 * process that has the hook's stdout or stderr open.  So a child gets neither.
 * Its stderr is a pipe to the hook, which reads until the child itself is
 * dead, even if other processes have inherited the pipe; its stdin and stdout
 * are /dev/null.  A child that is not done in time is killed together with its
 * own children, but for those that have left its process group.  A child that
 * waits for a file server may survive even SIGKILL; then it is left to init.
 *
 * A child dies with the hook.  So if the hook is killed, an unfinished `add`
 * ends as well, and its supervisor drops the disk.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "plugin/libvirt/child.h"
#include "plugin/common/log.h"
#include "plugin/common/process.h"
#include "plugin/common/program.h"
#include "plugin/common/text.h"

#define KILL_PATIENCE	 1000 /* ms, for the death of a killed child */
#define NOT_EXECUTED	 127
#define PROGRAM_SAYS_MAX 16384

struct child {
	pid_t pid;
	int pidfd;
	int pipe;
	char *said;
	size_t size;
	size_t length;
};

static void __attribute__((noreturn))
be_child(child_fn *work, const void *argument, int null, int pipe, pid_t parent)
{
	setpgid(0, 0);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(NOT_EXECUTED);
	dup2(null, STDIN_FILENO);
	dup2(null, STDOUT_FILENO);
	dup2(pipe, STDERR_FILENO);
	signal(SIGPIPE, SIG_DFL);
	process_fresh(-1, -1);
	_exit(work(argument));
}

static int start(struct child *child, child_fn *work, const void *argument)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	pid_t parent = getpid();
	int ends[2];
	int ret = null < 0 || pipe2(ends, O_CLOEXEC) ? -errno : 0;

	if (ret) {
		if (null >= 0)
			close(null);
		return ret;
	}
	fcntl(ends[0], F_SETFL, O_NONBLOCK);
	child->pid = fork();
	if (!child->pid)
		be_child(work, argument, null, ends[1], parent);
	if (child->pid < 0)
		ret = -errno;
	close(null);
	close(ends[1]);
	child->pipe = ends[0];
	if (!ret)
		ret = process_hold(child->pid, &child->pidfd);
	if (!ret)
		return 0;
	close(child->pipe);
	return ret;
}

/* Reads the pipe; false: no process has it open for writing any more.  Bytes
   beyond the size are read, too, or the child would wait. */
static bool listen_to(struct child *child)
{
	char rest[512];
	ssize_t got;

	for (;;) {
		size_t room = child->size - child->length;

		if (room)
			got = read(child->pipe, child->said + child->length,
				   room);
		else
			got = read(child->pipe, rest, sizeof(rest));
		if (got <= 0)
			return got < 0 && (errno == EAGAIN || errno == EINTR);
		if (room)
			child->length += got;
	}
}

/* Waits for the end of the child, and reads its stderr meanwhile.  Has the
   child ended in time? */
static bool hear_out(struct child *child, int milliseconds)
{
	struct pollfd fds[] = {
		{ .fd = child->pidfd, .events = POLLIN },
		{ .fd = child->pipe, .events = POLLIN },
	};
	const uint64_t deadline = clock_ms() + milliseconds;

	while (!fds[0].revents) {
		uint64_t now = clock_ms();

		if (now >= deadline)
			return false;
		poll(fds, 2, deadline - now);
		if (fds[1].revents && !listen_to(child))
			fds[1].fd = -1;
	}
	listen_to(child);
	return true;
}

static int reap(struct child *child)
{
	int status = 0;

	if (waitpid(child->pid, &status, 0) != child->pid)
		return -ECHILD;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -EINTR;
}

static int give_up(struct child *child)
{
	kill(-child->pid, SIGKILL);
	process_kill(child->pidfd);
	if (process_wait(child->pidfd, KILL_PATIENCE))
		reap(child);
	return -ETIMEDOUT;
}

int child_run(child_fn *work, const void *argument, int milliseconds,
	      void *said, size_t size, size_t *length)
{
	struct child child = { .said = said, .size = size };
	int ret = start(&child, work, argument);

	if (ret)
		return ret;
	ret = hear_out(&child, milliseconds) ? reap(&child) : give_up(&child);
	*length = child.length;
	close(child.pidfd);
	close(child.pipe);
	return ret;
}

static int execute(const void *argument)
{
	char *const *argv = (char *const *)argument;
	char path[PATH_MAX];
	int ret = program_find(argv[0], path);

	if (!ret)
		execv(path, argv);
	else
		errno = -ret;
	dprintf(STDERR_FILENO, "cannot run %s: %s\n", argv[0], strerror(errno));
	return NOT_EXECUTED;
}

/* In execute(), stderr is the pipe and stdout /dev/null; here stdout is the
   pipe. */
static int execute_to_ask(const void *argument)
{
	int null = dup(STDOUT_FILENO);

	dup2(STDERR_FILENO, STDOUT_FILENO);
	dup2(null, STDERR_FILENO);
	close(null);
	return execute(argument);
}

static void __attribute__((format(printf, 2, 3)))
shorten(char line[CHILD_LINE_MAX], const char *format, ...)
{
	va_list args;

	va_start(args, format);
	text_format(line, CHILD_LINE_MAX, format, args);
	va_end(args);
}

static void last_line(char *said, char line[CHILD_LINE_MAX])
{
	size_t length = strlen(said);
	char *last;

	while (length && said[length - 1] == '\n')
		said[--length] = '\0';
	last = strrchr(said, '\n');
	shorten(line, "%s", last ? last + 1 : said);
	text_tame(line);
}

static int run_to_say(child_fn *work, const char *const *argv, int milliseconds,
		      char line[CHILD_LINE_MAX])
{
	char said[PROGRAM_SAYS_MAX];
	size_t length = 0;
	int ret = child_run(work, argv, milliseconds, said, sizeof(said) - 1,
			    &length);

	said[length] = '\0';
	last_line(said, line);
	return ret;
}

int child_program(const char *const *argv, int milliseconds,
		  char line[CHILD_LINE_MAX])
{
	return run_to_say(execute, argv, milliseconds, line);
}

int child_ask(const char *const *argv, int milliseconds,
	      char line[CHILD_LINE_MAX])
{
	return run_to_say(execute_to_ask, argv, milliseconds, line);
}
