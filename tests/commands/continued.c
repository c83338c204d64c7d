// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A command waits to be heard by a supervisor whose queue is full.  The user
 * stops the command at the terminal, and lets it go on.  It is heard then.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "plugin/common/rpc.h"
#include "plugin/common/state.h"
#include "tests/lib/helpers.h"

#define ID	   5
#define TIME_LIMIT 30	  /* seconds; a test that hangs is killed */
#define WHILE	   200000 /* us, in which the command begins to wait */

/* Others wait there already, until no more may. */
static void fill_queue(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd;

	disk_socket_path(ID, address.sun_path);
	do {
		fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0);
		if (fd < 0)
			die("no socket");
	} while (!connect(fd, (struct sockaddr *)&address, sizeof(address)));
	if (errno != EAGAIN)
		die("the queue: %s", strerror(errno));
	close(fd);
}

static pid_t call(void)
{
	static const struct appeal appeal;
	pid_t pid = fork();
	int fd, ret;

	if (pid < 0)
		die("cannot fork");
	if (pid)
		return pid;
	ret = rpc_call(ID, &appeal, &fd);
	if (ret)
		die("the call fails: %s", strerror(-ret));
	_exit(0);
}

static void stop_and_continue(pid_t pid)
{
	int status;

	kill(pid, SIGSTOP);
	if (waitpid(pid, &status, WUNTRACED) != pid || !WIFSTOPPED(status))
		die("the command ended before it was stopped");
	kill(pid, SIGCONT);
	usleep(WHILE);
}

int main(void)
{
	int listener, caller, status;
	pid_t pid;

	alarm(TIME_LIMIT);
	setenv("UBLK_QCOW2_RUN", scratch(), 1);
	if (state_open() || rpc_listen(ID, &listener))
		die("cannot listen");
	fill_queue();
	pid = call();
	usleep(WHILE);
	stop_and_continue(pid);
	/* They stay open: the command may not have spoken yet. */
	while (!rpc_accept(listener, &caller))
		;
	if (waitpid(pid, &status, 0) != pid || status)
		die("the command is not heard");
	return 0;
}
