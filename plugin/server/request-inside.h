/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Requests from the inside; for request*.c only.
 */
#ifndef REQUEST_INSIDE_H
#define REQUEST_INSIDE_H

#include <stdbool.h>
#include "plugin/server/request.h"

/* request.c */

void give_to_worker(struct request *request);

/* Asks the engine, unless an older parked request goes first: the request sets
   out, parks, or ends. */
void request_try(struct request *request);

/* request-parked.c */

void park(struct request *request);

/* A request has ended, and there are other I/O threads: they may have parked
   ones. */
void wake_elsewhere(const struct requests *all);

/* Takes all of them, the oldest first, and leaves none. */
struct request *take_parked(struct requests *all);

/* Does an older parked request share a cluster with this one? */
bool parked_shares_cluster(const struct request *request);

/* Nearly always none is parked, and then no call is made. */
static inline bool must_queue(const struct request *request)
{
	return request->all->parked && parked_shares_cluster(request);
}

#endif /* REQUEST_INSIDE_H */
