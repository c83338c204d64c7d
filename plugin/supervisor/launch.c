// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A supervisor in the background: a daemon that belongs to no terminal, no
 * session and no directory of the process that started it, and holds none of
 * the descriptors of that process.  That matters: libvirt waits for the end of
 * its hook's output for as long as any process has the output open.
 *
 * The command waits at one end of a socket for the outcome.  When the other
 * end closes without one, the supervisor is dead.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "plugin/common/log.h"
#include "plugin/common/process.h"
#include "plugin/common/title.h"
#include "plugin/supervisor/supervisor.h"

#define END_PATIENCE 5000 /* ms */

static void __attribute__((noreturn))
run_daemon(const struct task *task, int caller)
{
	struct task own = *task;
	int null;

	own.caller = caller;
	process_fresh(caller, task->lock);
	setsid();
	null = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (null < 0)
		_exit(EXIT_FAILURE);
	dup2(null, STDIN_FILENO);
	dup2(null, STDOUT_FILENO);
	dup2(null, STDERR_FILENO);
	close(null);
	log_to_system();
	/* The task is a copy: nobody needs the arguments any more. */
	title_set("supervisor", own.disk.name);
	_exit(supervisor_run(&own));
}

/* Nothing of it shall be left when its user hears of it. */
static void await_end(pid_t pid)
{
	int pidfd = pidfd_open(pid, 0);

	if (pidfd < 0)
		return;
	if (process_wait(pidfd, END_PATIENCE))
		waitpid(pid, NULL, 0);
	close(pidfd);
}

int supervisor_launch(const struct task *task, int milliseconds,
		      struct outcome *outcome, pid_t *pid)
{
	int ends[2];
	int ret;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends))
		return -errno;
	*pid = fork();
	if (!*pid)
		run_daemon(task, ends[1]);
	ret = *pid < 0 ? -errno : 0;
	close(ends[1]);
	if (!ret)
		ret = rpc_wait(ends[0], milliseconds, outcome);
	close(ends[0]);
	if (!ret && outcome->failed && !outcome->stays)
		await_end(*pid);
	return ret;
}
