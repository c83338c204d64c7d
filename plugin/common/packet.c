// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Packets that carry descriptors.
 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "plugin/common/packet.h"

#define SPACE CMSG_SPACE(PACKET_FDS * sizeof(int))

union control {
	char bytes[SPACE];
	struct cmsghdr align;
};

static void put_descriptors(const struct packet *packet, struct msghdr *message)
{
	const size_t length = packet->nr_fds * sizeof(int);
	struct cmsghdr *head = message->msg_control;

	message->msg_controllen = CMSG_SPACE(length);
	head->cmsg_level = SOL_SOCKET;
	head->cmsg_type = SCM_RIGHTS;
	head->cmsg_len = CMSG_LEN(length);
	memcpy(CMSG_DATA(head), packet->fds, length);
}

int packet_send(int socket, const struct packet *packet)
{
	struct iovec part = { packet->bytes, packet->length };
	union control control = { { 0 } };
	struct msghdr message = {
		.msg_iov = &part,
		.msg_iovlen = 1,
		.msg_control = &control,
	};
	ssize_t sent;

	if (packet->nr_fds)
		put_descriptors(packet, &message);
	do
		sent = packet->nr_fds ?
			       sendmsg(socket, &message, MSG_NOSIGNAL) :
			       send(socket, packet->bytes, packet->length,
				    MSG_NOSIGNAL);
	while (sent < 0 && errno == EINTR);
	return sent < 0 ? -errno : 0;
}

static void get_descriptors(struct packet *packet, struct msghdr *message)
{
	struct cmsghdr *head = CMSG_FIRSTHDR(message);

	packet->nr_fds = 0;
	if (!head || head->cmsg_level != SOL_SOCKET ||
	    head->cmsg_type != SCM_RIGHTS)
		return;
	packet->nr_fds = (head->cmsg_len - CMSG_LEN(0)) / sizeof(int);
	memcpy(packet->fds, CMSG_DATA(head), packet->nr_fds * sizeof(int));
}

ssize_t packet_receive_plain(int socket, struct packet *packet)
{
	ssize_t got;

	packet->nr_fds = 0;
	do
		got = recv(socket, packet->bytes, packet->length, 0);
	while (got < 0 && errno == EINTR);
	return got < 0 ? -errno : got;
}

ssize_t packet_receive(int socket, struct packet *packet)
{
	struct iovec part = { packet->bytes, packet->length };
	union control control;
	struct msghdr message = {
		.msg_iov = &part,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control),
	};
	ssize_t got;

	do
		got = recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
	while (got < 0 && errno == EINTR);
	packet->nr_fds = 0;
	if (got < 0)
		return -errno;
	get_descriptors(packet, &message);
	return got;
}

void packet_close(struct packet *packet)
{
	while (packet->nr_fds)
		close(packet->fds[--packet->nr_fds]);
}
