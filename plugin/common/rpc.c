// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Appeals of commands to a supervisor.
 *
 * A packet begins with a head: magic, version, length.  A supervisor outlives
 * the installation of another version, so each side may meet another version.
 * The head is the same in all versions; the body of another version is not
 * looked at.  Only root may connect to the socket, and the caller's
 * credentials are looked at nevertheless.
 */
#include <errno.h>
#include <poll.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "plugin/common/rpc.h"
#include "plugin/common/state.h"

#define BACKLOG	      4
#define CALL_PATIENCE 5 /* s */
#define SLOW_CALL     3 /* s */

#define MAGIC	0x71326275u /* "ub2q" */
#define VERSION 3	    /* 1 had no head, 2 no changes */

/* A program for tests can be one of another version, or a slow one. */
static bool fault(const char *name)
{
#ifdef TEST_FAULTS
	const char *faults = getenv("UBLK_QCOW2_FAULT");

	return faults && strstr(faults, name);
#else
	(void)name;
	return false;
#endif
}

static unsigned int our_version(void)
{
	return fault("old-protocol") ? VERSION - 1 : VERSION;
}

struct packet {
	uint32_t magic;
	uint16_t version;
	uint16_t length; /* of all of it, bytes */
	union {
		struct appeal appeal;
		struct outcome outcome;
	};
};

#define LENGTH_OF(member) \
	(offsetof(struct packet, member) + \
	 sizeof(((struct packet *)NULL)->member))

static struct packet head_of(size_t length)
{
	return (struct packet){
		.magic = MAGIC,
		.version = our_version(),
		.length = length,
	};
}

/* 0: a whole packet of our version; -EPROTO: something else. */
static int check_packet(const struct packet *packet, ssize_t got, size_t length)
{
	if (got != (ssize_t)length || packet->magic != MAGIC ||
	    packet->version != our_version() || packet->length != length)
		return -EPROTO;
	return 0;
}

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
	/* The socket is left of a dead supervisor, since we hold the lock of
	   the disk. */
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
	struct outcome other = { .failed = true };
	struct packet packet;
	ssize_t got = recv(caller, &packet, sizeof(packet),
			   MSG_DONTWAIT | MSG_TRUNC);

	if (got < 0)
		return -errno;
	if (!got)
		return -EPIPE;
	if (check_packet(&packet, got, LENGTH_OF(appeal)) ||
	    (unsigned int)packet.appeal.type > APPEAL_CHANGE) {
		snprintf(other.text, sizeof(other.text),
			 "the supervisor is of another version");
		rpc_answer(caller, &other);
		return -EPROTO;
	}
	*appeal = packet.appeal;
	return 0;
}

void rpc_answer(int caller, const struct outcome *outcome)
{
	struct packet packet = head_of(LENGTH_OF(outcome));

	packet.outcome = *outcome;
	/* A caller that has gone needs no answer. */
	send(caller, &packet, packet.length, MSG_NOSIGNAL | MSG_DONTWAIT);
}

/* Where the queue is full this waits, and a command that the terminal stops
   meanwhile, and continues, is interrupted. */
static int reach(int fd, const struct sockaddr_un *address)
{
	int ret;

	do
		ret = connect(fd, (const struct sockaddr *)address,
			      sizeof(*address));
	while (ret && errno == EINTR);
	return ret;
}

int rpc_call(int id, const struct appeal *appeal, int *call)
{
	const struct timeval patience = { .tv_sec = CALL_PATIENCE };
	struct packet packet = head_of(LENGTH_OF(appeal));
	struct sockaddr_un address;
	int fd = open_socket(id, &address, 0);
	int ret;

	if (fd < 0)
		return fd;
	packet.appeal = *appeal;
	/* A supervisor that is stopped takes no calls, and its queue fills
	   up. */
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	ret = reach(fd, &address);
	if (!ret && fault("slow-call"))
		sleep(SLOW_CALL);
	if (ret || send(fd, &packet, packet.length, MSG_NOSIGNAL) < 0) {
		/* The supervisor ended before it took the call, or before it
		   answered. */
		ret = errno == ECONNRESET ? -EPIPE :
		      errno == EAGAIN	  ? -ETIME :
					    -errno;
		close(fd);
		return ret;
	}
	*call = fd;
	return 0;
}

int rpc_wait(int call, int milliseconds, struct outcome *outcome)
{
	struct pollfd answer = { .fd = call, .events = POLLIN };
	struct packet packet;
	ssize_t got;
	int ready;

	do
		ready = poll(&answer, 1, milliseconds);
	while (ready < 0 && errno == EINTR);
	if (ready <= 0)
		return ready ? -errno : -ETIMEDOUT;
	got = recv(call, &packet, sizeof(packet), MSG_TRUNC);
	if (got < 0)
		return errno == ECONNRESET ? -EPIPE : -errno;
	if (!got)
		return -EPIPE;
	if (check_packet(&packet, got, LENGTH_OF(outcome)))
		return -EPROTO;
	*outcome = packet.outcome;
	return 0;
}
