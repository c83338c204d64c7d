/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A request that servers before this one died of: nothing else begins before it
 * has ended.  All functions are for the I/O thread, but for quarantine_init(),
 * quarantine_begin() and quarantine_name().
 */
#ifndef QUARANTINE_H
#define QUARANTINE_H

#include <stdbool.h>
#include <stdint.h>
#include "plugin/common/culprit.h"

struct request;

struct quarantine {
	bool on;
	struct culprit culprit;
	unsigned int deaths;   /* that the culprit has caused, in a row */
	uint64_t end;	       /* ns; 0: the time has not begun */
	struct request *alone; /* the culprit, while nothing else began */
	struct request *held;  /* the oldest first */
	struct request **held_end;
};

/* Before the first request; no deaths: there is no culprit. */
void quarantine_init(struct quarantine *quarantine,
		     const struct culprit *culprit, unsigned int deaths);

/* Ends the quarantine. */
void quarantine_lift(struct quarantine *quarantine);

/* How the supervisor is told of a request; on any thread that works for it. */
struct culprit quarantine_name(const struct request *request);

/* The device lives, or a request has come: the time begins, if it has not.  Any
   thread. */
void quarantine_begin(struct quarantine *quarantine, uint64_t now);

/* The same as quarantine_admit() while there is one. */
int quarantine_judge(struct quarantine *quarantine, struct request *request,
		     uint64_t now);

/* The driver has given us a request, which is decoded.  Returns:
   0		it may begin
   -EBUSY	it is held, until quarantine_next() returns it
   -EIO		servers enough have died of it */
static inline int quarantine_admit(struct quarantine *quarantine,
				   struct request *request, uint64_t now)
{
	return quarantine->on ? quarantine_judge(quarantine, request, now) : 0;
}

/* A request that was admitted has ended. */
static inline void quarantine_end(struct quarantine *quarantine,
				  const struct request *request)
{
	if (request == quarantine->alone)
		quarantine_lift(quarantine);
}

/* Takes out a request that was held and may begin now; NULL: there is none. */
struct request *quarantine_next(struct quarantine *quarantine, uint64_t now);

/* When to ask quarantine_next() again, in less than 10^9 ns from now; 0:
   nothing is held. */
uint64_t quarantine_wait(const struct quarantine *quarantine);

#endif /* QUARANTINE_H */
