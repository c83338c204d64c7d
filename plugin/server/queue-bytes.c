// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The bytes of a request whose bytes the driver keeps: they are read from and
 * written to /dev/ublkcN, at a place of its tag's own (UBLK_F_USER_COPY).  That
 * blocks for no longer than a copy takes.
 */
#include <errno.h>
#include <unistd.h>
#include "plugin/server/queue-inside.h"
#include "plugin/server/queue.h"

int queue_take_bytes(struct request *request, uint32_t position,
		     uint32_t length)
{
	const struct queue *queue = request->all->queue;
	uint64_t place = UBLK_BYTES(request->queue_id, request->tag);
	char *buffer = request->buffer;
	ssize_t ret;

	while (queue->user_copy && length) {
		ret = pread(queue->fd, buffer + position, length,
			    place + position);
		if (ret <= 0)
			return ret ? -errno : -EIO;
		position += ret;
		length -= ret;
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
