/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A server that a fault of its own ends says which request it was at work for.
 */
#ifndef DYING_H
#define DYING_H

struct request;

extern _Thread_local const struct request *dying_request;

/* This thread is at work for the request from now on; NULL: for none. */
static inline void dying_of(const struct request *request)
{
	dying_request = request;
}

/* From now on faults are told of to the supervisor.  0 or -errno. */
int dying_prepare(int channel);

#endif /* DYING_H */
