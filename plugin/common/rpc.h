/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How a command and a supervisor speak with each other: one struct appeal,
 * answered by one struct outcome, over a SOCK_SEQPACKET socket.
 *
 * Functions return 0 or -errno; -EPROTO where the other side speaks another
 * version.
 */
#ifndef RPC_H
#define RPC_H

#include <stdbool.h>
#include <stdint.h>

struct appeal {
	enum appeal_type {
		APPEAL_RECOVER,
		APPEAL_STOP,
		APPEAL_HAND_OVER, /* to the supervisor that asks */
	} type;
	bool force;
};

/* How the appeal ended.  A failure has a text for the user: one line. */
struct outcome {
	bool failed;
	bool stays;    /* the supervisor does not end with that */
	uint8_t cause; /* of a failure: enum failure_cause.  It lies where
			  supervisors of older builds have padding */
	int id;
	char text[1024];
};

/* The supervisor's end: listens for appeals on behalf of disk id. */
int rpc_listen(int id, int *listener);

/* Takes the next caller; -EPERM: it is not root. */
int rpc_accept(int listener, int *caller);
/* -EPROTO: a caller of another version, which has been told so. */
int rpc_receive(int caller, struct appeal *appeal);
void rpc_answer(int caller, const struct outcome *outcome);

/* The command's end.  Both return -EPIPE if the supervisor closed the call
   without an answer: it died, or does not understand us.  rpc_call() returns
   -ECONNREFUSED or -ENOENT if nobody listens, -ETIME if nobody takes the
   call; rpc_wait() -ETIMEDOUT after that time. */
int rpc_call(int id, const struct appeal *appeal, int *call);
int rpc_wait(int call, int milliseconds, struct outcome *outcome);

#endif /* RPC_H */
