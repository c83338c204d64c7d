// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The bytes of a request whose bytes the driver keeps: they are read from and
 * written to /dev/ublkcN, at a place of its tag's own (UBLK_F_USER_COPY).  That
 * blocks for no longer than a copy takes.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>
#include "plugin/server/queue-inside.h"
#include "plugin/server/queue.h"

int queue_take_bytes(struct request *request, void *to, uint32_t position,
		     uint32_t length)
{
	const struct queue *queue = request->all->queue;
	uint64_t place = UBLK_BYTES(request->queue_id, request->tag) + position;
	const char *from = (char *)request->buffer + position;
	uint32_t done = 0;
	ssize_t ret;

	if (!queue->user_copy && to != from)
		memcpy(to, from, length);
	while (queue->user_copy && done < length) {
		ret = pread(queue->fd, (char *)to + done, length - done,
			    place + done);
		if (ret <= 0)
			return ret ? -errno : -EIO;
		done += ret;
	}
	return 0;
}

int queue_give_bytes(struct request *request, uint32_t position,
		     uint32_t length)
{
	const struct queue *queue = request->all->queue;
	uint64_t place = UBLK_BYTES(request->queue_id, request->tag);
	const char *buffer = request->buffer;
	ssize_t ret;

	while (queue->user_copy && length) {
		ret = pwrite(queue->fd, buffer + position, length,
			     place + position);
		if (ret <= 0)
			return ret ? -errno : -EIO;
		position += ret;
		length -= ret;
	}
	return 0;
}
