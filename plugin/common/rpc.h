/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The conversation of a command and a supervisor: one struct appeal, answered
 * by one struct outcome, over a SOCK_SEQPACKET socket.
 *
 * Functions return 0 or -errno; -EPROTO where the other side speaks another
 * version.
 */
#ifndef RPC_H
#define RPC_H

#include <stdbool.h>
#include <stdint.h>

#include "plugin/common/change.h"

struct appeal {
	enum appeal_type {
		APPEAL_RECOVER,
		APPEAL_STOP,
		APPEAL_HAND_OVER, /* to the supervisor that asks */
		APPEAL_RENEW,	  /* become the program that is installed */
		APPEAL_CHANGE,	  /* the disk, by another server */
	} type;
	bool force;
	struct change change; /* APPEAL_CHANGE */
};

/* How the appeal ended.  A failure has a text for the user: one line. */
struct outcome {
	bool failed;
	bool stays;    /* the supervisor does not end with that */
	bool later;    /* the same appeal may succeed in a moment */
	uint8_t cause; /* of a failure: enum failure_cause */
	int id;
	char text[1024];
};

/* The supervisor's end: listens for appeals on behalf of disk id. */
int rpc_listen(int id, int *listener);

/* Takes the next caller.  Returns:
   0		*caller is a descriptor
   -EPERM	the caller is not root
   or another -errno. */
int rpc_accept(int listener, int *caller);

/* Reads the appeal of a caller.  Returns:
   0		*appeal has it
   -EPIPE	the caller has gone
   -EPROTO	the caller is of another version, and has been told so
   or another -errno. */
int rpc_receive(int caller, struct appeal *appeal);

/* Sends the outcome; the caller may have gone. */
void rpc_answer(int caller, const struct outcome *outcome);

/* The command's end: calls the supervisor of disk id, and sends the appeal.
   Returns:
   0		the supervisor has the appeal; *call is the caller's to close
   -EPIPE	the supervisor died, or does not understand the appeal
   -ENOENT, -ECONNREFUSED	no supervisor listens
   -ETIME	the supervisor takes no calls
   or another -errno. */
int rpc_call(int id, const struct appeal *appeal, int *call);

/* Waits for the outcome.  Returns:
   0		*outcome has it
   -ETIMEDOUT	it has not come within the time
   -EPIPE	the supervisor died, or does not understand the appeal
   -EPROTO	the supervisor is of another version
   or another -errno. */
int rpc_wait(int call, int milliseconds, struct outcome *outcome);

#endif /* RPC_H */
