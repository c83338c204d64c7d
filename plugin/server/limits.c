// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A disk's limits: a bucket of requests and a bucket of bytes.
 *
 * A request begins when there is something in both.  One that must wait keeps
 * its tag, and those that come later wait behind it, so none starves, and a
 * guest sees a disk that is slower and not one that fails.  A flush moves
 * nothing and never waits.  Discards and zeroes count as requests, and their
 * bytes, which mostly are not moved, do not count.
 *
 * Each server begins with full buckets: requests that a server's death has done
 * again are limited like all others.
 *
 * Under a high limit the next request could begin in some microseconds.  To
 * wake the thread for each would cost more than the request, so it sleeps for
 * WAIT_MIN at least; the bucket keeps the inflow of that time.  Under a low one
 * it wakes up now and then to show that it is there.
 *
 * Why here and not in a control group's io.max: that knows the devices below an
 * image and not the disk, limits the server's own reads and writes, too, and
 * does not reach files on the network.
 */
#include <stddef.h>
#include "plugin/common/disk-options.h"
#include "plugin/server/limits.h"
#include "plugin/server/request.h"

#define WAIT_MIN 1000000ull   /* ns */
#define WAIT_MAX 500000000ull /* ns */

void limits_init(struct limits *limits, const struct disk_options *options)
{
	*limits = (struct limits){
		.requests.rate = options->iops,
		.bytes.rate = options->bandwidth,
		.end = &limits->first,
	};
}

static uint64_t wait_of(const struct limits *limits, uint64_t now)
{
	uint64_t requests = bucket_wait(&limits->requests, now);
	uint64_t bytes = bucket_wait(&limits->bytes, now);

	return requests > bytes ? requests : bytes;
}

static void take(struct limits *limits, const struct request *request,
		 uint64_t now)
{
	bucket_take(&limits->requests, now, 1);
	if (request->op == UBLK_IO_OP_READ || request->op == UBLK_IO_OP_WRITE)
		bucket_take(&limits->bytes, now, request->length);
}

bool limits_admit(struct limits *limits, struct request *request, uint64_t now)
{
	if (request->op == UBLK_IO_OP_FLUSH)
		return true;
	if (!limits->first && !wait_of(limits, now)) {
		take(limits, request, now);
		return true;
	}
	request->next = NULL;
	*limits->end = request;
	limits->end = &request->next;
	return false;
}

struct request *limits_next(struct limits *limits, uint64_t now)
{
	struct request *first = limits->first;

	if (!first || wait_of(limits, now))
		return NULL;
	limits->first = first->next;
	if (!limits->first)
		limits->end = &limits->first;
	take(limits, first, now);
	return first;
}

uint64_t limits_wait(const struct limits *limits, uint64_t now)
{
	uint64_t wait;

	if (!limits->first)
		return 0;
	wait = wait_of(limits, now);
	if (wait < WAIT_MIN)
		return WAIT_MIN;
	return wait < WAIT_MAX ? wait : WAIT_MAX;
}
