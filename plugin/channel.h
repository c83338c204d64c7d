/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The server's end of its channel to the supervisor.  The messages are those
 * of server.h.
 */
#ifndef CHANNEL_H
#define CHANNEL_H

#include <stdarg.h>
#include "server.h"

/* Sends without waiting; what cannot be sent at once is lost. */
void channel_send(int channel, const struct server_message *message);

/* The same for a SERVER_FAILED or SERVER_NOTICE. */
void channel_tell(int channel, enum server_message_type type,
		  const char *format, va_list arguments)
	__attribute__((format(printf, 3, 0)));

/* Waits for a message.  -EPIPE: the supervisor is gone. */
int channel_receive(int channel, struct server_message *message);

#endif /* CHANNEL_H */
