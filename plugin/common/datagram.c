// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A log daemon may hang, and its files may lie on a disk of ours.  A
 * disk's users must not wait for it (P5).  So a datagram waits PATIENCE for
 * room in the daemon's queue.  A daemon that did not make room then gets no
 * time at all until it has taken something: a supervisor loses one moment, and
 * not one for each line.
 *
 * A socket lives only while it is used.  So no child inherits one, and none is
 * closed behind our back (process_fresh()).
 */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "plugin/common/datagram.h"

#define PATIENCE 200000 /* us */

static bool daemon_hangs;

static int send_on(int fd, const char *path, const void *data, size_t length)
{
	const struct timeval patience = { .tv_usec = PATIENCE };
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int ret = 0;

	if ((size_t)snprintf(address.sun_path, sizeof(address.sun_path), "%s",
			     path) >= sizeof(address.sun_path))
		return -ENAMETOOLONG;
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	if (sendto(fd, data, length,
		   MSG_NOSIGNAL | (daemon_hangs ? MSG_DONTWAIT : 0),
		   (const struct sockaddr *)&address, sizeof(address)) < 0)
		ret = -errno;
	daemon_hangs = ret == -EAGAIN;
	return ret;
}

int datagram_send(const char *path, const void *data, size_t length)
{
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int ret;

	if (fd < 0)
		return -errno;
	ret = send_on(fd, path, data, length);
	close(fd);
	return ret;
}
