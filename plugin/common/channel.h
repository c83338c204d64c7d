/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The channel between a server and its supervisor: a SOCK_SEQPACKET socket,
 * one struct per packet.  server.h has the order of the messages.
 */
#ifndef CHANNEL_H
#define CHANNEL_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include "plugin/common/cause.h"
#include "plugin/common/culprit.h"
#include "plugin/common/trouble.h"
#include "qcow/qcow.h"

enum server_message_type {
	SERVER_LAYER,
	SERVER_OPENED,
	SERVER_LIVE,
	SERVER_FAILED,
	SERVER_NOTICE,
	SUPERVISOR_ADDED,
	SERVER_TROUBLE,
	SERVER_DYING,
	SERVER_MERGING,
	SERVER_MERGED,
	SERVER_NOT_MERGED,
};

struct server_message {
	enum server_message_type type;
	enum failure_cause cause; /* SERVER_FAILED */
	int dev_id;		  /* SUPERVISOR_ADDED */
	unsigned int confinement; /* SERVER_LIVE: enum confinement */
	uint64_t size;		  /* SERVER_OPENED: bytes */
	uint32_t cluster_size;	  /* SERVER_OPENED: bytes */
	uint32_t alignment;	  /* SERVER_OPENED: qcow_alignment() */
	uint8_t read_only;	  /* SERVER_OPENED, SERVER_LAYER; the
				     byte may be anything, a bool may not */
	/* A server of an earlier version finds all else where it was. */
	union {
		struct qcow_identity identity; /* SERVER_OPENED, SERVER_LAYER */
		struct culprit culprit;	       /* SERVER_DYING */
	};
	unsigned int layers;	   /* SERVER_OPENED: how many came */
	enum host_trouble trouble; /* SERVER_TROUBLE */
	uint64_t failures;	   /* SERVER_TROUBLE: since the last;
				      SERVER_MERGING: thousandths done */
	char text[PATH_MAX];	   /* SERVER_FAILED, SERVER_NOTICE,
				      SERVER_TROUBLE, SERVER_NOT_MERGED:
				      the cause;
				      SERVER_LAYER: the path.  The packet
				      ends with it */
};

/* The bytes of a message that are sent. */
size_t channel_length(const struct server_message *message);

/* Is this a whole message, of so many bytes as were received? */
bool channel_is_whole(const struct server_message *message, ssize_t length);

/* Sends without waiting; a message that cannot be sent at once is lost. */
void channel_send(int channel, const struct server_message *message);

/* Waits until the message can be sent. */
void channel_send_surely(int channel, const struct server_message *message);

/* Sends a SERVER_FAILED.  Always returns -1, for the caller to return. */
int channel_fail(int channel, enum failure_cause cause, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* Sends a SERVER_NOTICE. */
void channel_notice(int channel, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* Waits for a message.  Returns:
   0		*message is whole
   -EPIPE	the supervisor is gone
   -EPROTO	the message is cut off
   or another -errno. */
int channel_receive(int channel, struct server_message *message);

/* Does the supervisor still hold the other end? */
bool channel_is_held(int channel);

#endif /* CHANNEL_H */
