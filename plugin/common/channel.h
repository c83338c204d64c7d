/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The server's end of its channel to the supervisor.  The messages are those
 * of server.h.
 */
#ifndef CHANNEL_H
#define CHANNEL_H

#include <sys/types.h>
#include "plugin/server/server.h"

/* The bytes of a message that are sent. */
size_t channel_length(const struct server_message *message);

/* Is this a whole message, of so many bytes as were received? */
bool channel_is_whole(const struct server_message *message, ssize_t length);

/* Sends without waiting; what cannot be sent at once is lost. */
void channel_send(int channel, const struct server_message *message);

/* Waits until it can be sent. */
void channel_send_surely(int channel, const struct server_message *message);

/* Sends a SERVER_FAILED.  Always -1, what its callers mostly return. */
int channel_fail(int channel, enum server_cause cause, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* Sends a SERVER_NOTICE. */
void channel_notice(int channel, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* Waits for a message.  -EPIPE: the supervisor is gone. */
int channel_receive(int channel, struct server_message *message);

/* Does the supervisor still hold the other end? */
bool channel_is_held(int channel);

#endif /* CHANNEL_H */
