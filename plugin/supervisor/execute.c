// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * One executable of the administrator's, from its start to its end.
 *
 * An executable gets no descriptor of ours, no signal mask, only the
 * environment that is documented, and none of the supervisor's privileges over
 * other processes when memory or processors are short.  It has PATIENCE to end;
 * then its process group is killed: otherwise its processes in the background
 * would pile up at every crash.  One that hangs in the kernel is left behind:
 * the events after this one, a merge or an upgrade would wait for it.
 *
 * Its stdout and stderr come through one pipe and go to the log, line by line,
 * up to LINES_MAX lines.  The rest is read and dropped, so that nothing waits
 * for us.  When the executable has ended, nothing more is read: the words of a
 * child that is left in the background get lost.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "plugin/common/log.h"
#include "plugin/common/process.h"
#include "plugin/common/settle.h"
#include "plugin/supervisor/execute.h"

#ifndef PR_SET_IO_FLUSHER
#define PR_SET_IO_FLUSHER 57
#endif
#define PATIENCE      30000 /* ms */
#define KILL_PATIENCE 2000  /* ms */
#define LINES_MAX     50

struct execution {
	const char *path;
	const char *name;
	const char *event;
	const char *device;
	pid_t pid;
	int pidfd;
	int output; /* the end of the pipe that we read, without waiting */
	unsigned int lines;
	size_t length; /* of the line that has begun */
	char line[256];
};

static void __attribute__((noreturn))
become(const struct execution *execution, int output)
{
	int null = open("/dev/null", O_RDWR);

	setsid();
	settle_command();
	settle_program();
	prctl(PR_SET_IO_FLUSHER, 0, 0, 0, 0);
	dup2(null, STDIN_FILENO);
	dup2(output, STDOUT_FILENO);
	dup2(output, STDERR_FILENO);
	close_range(3, ~0U, 0);
	execl(execution->path, execution->path, execution->event,
	      execution->device, NULL);
	dprintf(STDERR_FILENO, "cannot be run: %s\n", strerror(errno));
	_exit(127);
}

/* 0 or -errno. */
static int start(struct execution *execution)
{
	int ends[2];
	int ret;

	if (pipe2(ends, O_CLOEXEC))
		return -errno;
	fcntl(ends[0], F_SETFL, O_NONBLOCK);
	execution->pid = fork();
	if (!execution->pid)
		become(execution, ends[1]);
	ret = -errno;
	execution->pidfd = execution->pid < 0 ? -1 :
						pidfd_open(execution->pid, 0);
	close(ends[1]);
	execution->output = ends[0];
	if (execution->pidfd >= 0)
		return 0;
	if (execution->pid > 0)
		ret = -errno;
	close(ends[0]);
	return ret;
}

/* ---- its output ---- */

static void end_line(struct execution *execution)
{
	if (!execution->length)
		return;
	execution->line[execution->length] = '\0';
	execution->length = 0;
	execution->lines++;
	if (execution->lines <= LINES_MAX)
		log_line(LOG_NOTICE, "hook %s: %s", execution->name,
			 execution->line);
	else if (execution->lines == LINES_MAX + 1)
		log_line(LOG_WARNING,
			 "hook %s: says more than %d lines; the rest is left "
			 "out",
			 execution->name, LINES_MAX);
}

/* A line that is too long becomes several. */
static void take(struct execution *execution, const char *text, size_t length)
{
	for (; length; text++, length--) {
		if (*text == '\n' ||
		    execution->length == sizeof(execution->line) - 1)
			end_line(execution);
		if (*text != '\n')
			execution->line[execution->length++] = *text;
	}
}

/* False: it has closed its output. */
static bool read_some(struct execution *execution)
{
	char text[1024];
	ssize_t got = read(execution->output, text, sizeof(text));

	if (got > 0)
		take(execution, text, got);
	return got > 0 || (got < 0 && (errno == EAGAIN || errno == EINTR));
}

static void read_rest(struct execution *execution)
{
	char text[1024];
	ssize_t got;
	int left = 64; /* one pipe full */

	while (left-- &&
	       (got = read(execution->output, text, sizeof(text))) > 0)
		take(execution, text, got);
	end_line(execution);
}

/* Reads until it has ended; false: it has not in time. */
static bool follow(struct execution *execution)
{
	const uint64_t end = clock_ms() + PATIENCE;
	struct pollfd fds[] = {
		{ .fd = execution->pidfd, .events = POLLIN },
		{ .fd = execution->output, .events = POLLIN },
	};
	uint64_t now;

	while ((now = clock_ms()) < end) {
		poll(fds, 2, end - now);
		if (fds[0].revents)
			return true;
		if (fds[1].revents && !read_some(execution))
			fds[1].fd = -1;
	}
	return false;
}

/* ---- all of it ---- */

static bool kill_off(const struct execution *execution)
{
	bool ended;

	log_line(LOG_WARNING,
		 "the hook %s %s did not end within %d seconds and was killed",
		 execution->path, execution->event, PATIENCE / 1000);
	kill(-execution->pid, SIGKILL);
	ended = process_wait(execution->pidfd, KILL_PATIENCE);
	if (!ended)
		log_line(LOG_WARNING,
			 "the hook %s (process %d) hangs in the kernel, and is "
			 "left behind",
			 execution->path, (int)execution->pid);
	return ended;
}

static void finish(struct execution *execution, bool ended)
{
	int status = 0;

	if (ended || kill_off(execution))
		waitpid(execution->pid, &status, 0);
	read_rest(execution);
	close(execution->output);
	close(execution->pidfd);
	if (WIFEXITED(status) && WEXITSTATUS(status))
		log_line(LOG_WARNING, "the hook %s %s failed with status %d",
			 execution->path, execution->event,
			 WEXITSTATUS(status));
	/* P7; that we have killed it, we have told. */
	if (ended && WIFSIGNALED(status))
		log_line(LOG_WARNING,
			 "the hook %s %s was killed by signal %d (%s)",
			 execution->path, execution->event, WTERMSIG(status),
			 strsignal(WTERMSIG(status)));
}

void execute(const char *path, const char *name, const char *event,
	     const char *device)
{
	struct execution execution = {
		.path = path,
		.name = name,
		.event = event,
		.device = device,
	};
	int ret = start(&execution);

	if (ret) {
		log_line(LOG_WARNING, "cannot run the hook %s: %s", path,
			 strerror(-ret));
		return;
	}
	finish(&execution, follow(&execution));
}
