// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The channel to the supervisor.
 *
 * The server must outlive a supervisor that is dead, stopped or slow.  So no
 * message waits for the supervisor or raises SIGPIPE, but for the ones that a
 * server sends to get a device.  The sender does not ask whether a message
 * has arrived: without a supervisor the message does not matter.  A packet is
 * sent whole or not at all, hence any thread may send.
 */
#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include "plugin/common/channel.h"

_Static_assert(sizeof(struct culprit) <= sizeof(struct qcow_identity),
	       "the text is where it was in earlier versions");

size_t channel_length(const struct server_message *message)
{
	return offsetof(struct server_message, text) + strlen(message->text) +
	       1;
}

bool channel_is_whole(const struct server_message *message, ssize_t length)
{
	const ssize_t head = offsetof(struct server_message, text);

	return length > head && !message->text[length - head - 1];
}

void channel_send(int channel, const struct server_message *message)
{
	send(channel, message, channel_length(message),
	     MSG_NOSIGNAL | MSG_DONTWAIT);
}

void channel_send_surely(int channel, const struct server_message *message)
{
	ssize_t sent;

	do
		sent = send(channel, message, channel_length(message),
			    MSG_NOSIGNAL);
	while (sent < 0 && errno == EINTR);
}

int channel_fail(int channel, enum failure_cause cause, const char *format, ...)
{
	struct server_message message = {
		.type = SERVER_FAILED,
		.cause = cause,
	};
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(message.text, sizeof(message.text), format, arguments);
	va_end(arguments);
	channel_send(channel, &message);
	return -1;
}

void channel_notice(int channel, const char *format, ...)
{
	struct server_message message = { .type = SERVER_NOTICE };
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(message.text, sizeof(message.text), format, arguments);
	va_end(arguments);
	channel_send(channel, &message);
}

int channel_receive(int channel, struct server_message *message)
{
	ssize_t length;

	do
		length = recv(channel, message, sizeof(*message), 0);
	while (length < 0 && errno == EINTR);
	if (length < 0)
		return -errno;
	if (length == 0)
		return -EPIPE;
	return channel_is_whole(message, length) ? 0 : -EPROTO;
}

bool channel_is_held(int channel)
{
	struct pollfd poller = { .fd = channel };

	return poll(&poller, 1, 0) >= 0 && !(poller.revents & POLLHUP);
}
