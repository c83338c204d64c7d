// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The bucket is one point of time: when it would be full again.  Each amount
 * that is taken moves that point on by the time in which the same amount flows
 * in.  As long as the point lies less than BUCKET_BURST ahead, there is
 * something in the bucket.
 *
 * One request may be larger than the bucket.  It takes all that there is and
 * runs into debt; so it passes as soon as any other would, and smaller ones do
 * not overtake it for ever.
 */
#include "plugin/server/bucket.h"

#define SECOND 1000000000ull /* ns */

uint64_t bucket_wait(const struct bucket *bucket, uint64_t now)
{
	if (!bucket->rate || bucket->full < now + BUCKET_BURST)
		return 0;
	return bucket->full - (now + BUCKET_BURST) + 1;
}

void bucket_take(struct bucket *bucket, uint64_t now, uint64_t units)
{
	if (!bucket->rate)
		return;
	if (bucket->full < now)
		bucket->full = now;
	/* A request has less than 2^32 bytes. */
	bucket->full += units * SECOND / bucket->rate;
}
