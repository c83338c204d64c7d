/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Packets that carry descriptors, on a SOCK_SEQPACKET socket.
 */
#ifndef PACKET_H
#define PACKET_H

#include <stddef.h>
#include <sys/types.h>

#define PACKET_FDS 4 /* at most */

struct packet {
	void *bytes;
	size_t length;
	int fds[PACKET_FDS];
	unsigned int nr_fds;
};

/* Waits until the packet can be sent.  0 or -errno.  Without descriptors it
   takes a call that every server may make. */
int packet_send(int socket, const struct packet *packet);

/* Waits for a packet of at most length bytes, with any descriptors; these
   become the caller's, and an executed program does not get them.  Returns the
   bytes, 0 when nobody is left to send any, or -errno. */
ssize_t packet_receive(int socket, struct packet *packet);

/* The same by such a call; the descriptors are lost. */
ssize_t packet_receive_plain(int socket, struct packet *packet);

void packet_close(struct packet *packet);

#endif /* PACKET_H */
