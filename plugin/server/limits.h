/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How many requests, and how many bytes of them, a disk may do in a second.
 * All functions are for the I/O thread.
 */
#ifndef LIMITS_H
#define LIMITS_H

#include <stdbool.h>
#include <stdint.h>
#include "plugin/server/bucket.h"

struct disk_options;
struct request;

/* And the requests that wait for room in them, the oldest first. */
struct limits {
	struct bucket requests, bytes;
	struct request *first;
	struct request **end;
};

void limits_init(struct limits *limits, const struct disk_options *options);

/* Nearly always there are none, and then no call is made. */
static inline bool limits_any(const struct limits *limits)
{
	return limits->requests.rate || limits->bytes.rate;
}

/* May the request begin now?  If not, it waits in a list, by its next. */
bool limits_admit(struct limits *limits, struct request *request, uint64_t now);

/* Takes the next one out that may begin now; NULL: there is none. */
struct request *limits_next(struct limits *limits, uint64_t now);

/* When to ask limits_next() again, in less than 10^9 ns from now; 0: nothing
   waits. */
uint64_t limits_wait(const struct limits *limits, uint64_t now);

#endif /* LIMITS_H */
