// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Appeals of commands to a supervisor.
 *
 * Both run the same program, of the same build or nearly so; a packet of
 * another size is refused.  The socket lies in a directory that only root can
 * enter, and the caller's credentials are looked at nevertheless.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "plugin/rpc.h"
#include "plugin/state.h"

#define BACKLOG 4

static int open_socket(int id, struct sockaddr_un *address, int flags)
{
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | flags, 0);

	address->sun_family = AF_UNIX;
	disk_socket_path(id, address->sun_path);
	return fd < 0 ? -errno : fd;
}

int rpc_listen(int id, int *listener)
{
	struct sockaddr_un address;
	int fd = open_socket(id, &address, SOCK_NONBLOCK);
	mode_t mask;
	int ret = 0;

	if (fd < 0)
		return fd;
	/* What is left of a dead supervisor: we hold the disk's lock. */
	unlink(address.sun_path);
	mask = umask(0177);
	if (bind(fd, (struct sockaddr *)&address, sizeof(address)) ||
	    listen(fd, BACKLOG))
		ret = -errno;
	umask(mask);
	if (ret) {
		close(fd);
		return ret;
	}
	*listener = fd;
	return 0;
}

int rpc_accept(int listener, int *caller)
{
	struct ucred who;
	socklen_t length = sizeof(who);
	int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (fd < 0)
		return -errno;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &length) ||
	    who.uid != 0) {
		close(fd);
		return -EPERM;
	}
	*caller = fd;
	return 0;
}

int rpc_receive(int caller, struct appeal *appeal)
{
	ssize_t got = recv(caller, appeal, sizeof(*appeal), MSG_DONTWAIT);

	if (got < 0)
		return -errno;
	return got == sizeof(*appeal) ? 0 : -EPROTO;
}

void rpc_answer(int caller, const struct outcome *outcome)
{
	/* A caller that has gone does not want to know. */
	send(caller, outcome, sizeof(*outcome), MSG_NOSIGNAL | MSG_DONTWAIT);
}

int rpc_call(int id, const struct appeal *appeal, int *call)
{
	struct sockaddr_un address;
	int fd = open_socket(id, &address, 0);
	int ret;

	if (fd < 0)
		return fd;
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) ||
	    send(fd, appeal, sizeof(*appeal), MSG_NOSIGNAL) < 0) {
		/* It ended before it took the call, or before it spoke. */
		ret = errno == ECONNRESET ? -EPIPE : -errno;
		close(fd);
		return ret;
	}
	*call = fd;
	return 0;
}

int rpc_wait(int call, int milliseconds, struct outcome *outcome)
{
	struct pollfd answer = { .fd = call, .events = POLLIN };
	ssize_t got;
	int ready;

	do
		ready = poll(&answer, 1, milliseconds);
	while (ready < 0 && errno == EINTR);
	if (ready <= 0)
		return ready ? -errno : -ETIMEDOUT;
	got = recv(call, outcome, sizeof(*outcome), 0);
	if (got < 0)
		return errno == ECONNRESET ? -EPIPE : -errno;
	return got == sizeof(*outcome) ? 0 : -EPIPE;
}
