/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A token bucket: so many units in a second, and a short burst.
 */
#ifndef BUCKET_H
#define BUCKET_H

#include <stdint.h>

#define BUCKET_BURST 100000000ull /* ns: the worth of a burst */

struct bucket {
	uint64_t rate; /* units in a second; 0: no limit */
	uint64_t full; /* ns; when it is full again */
};

/* How long to wait, in ns, until something may be taken; 0: not at all. */
uint64_t bucket_wait(const struct bucket *bucket, uint64_t now);

/* Takes so many units, which may be more than there are: the next request waits
   for them. */
void bucket_take(struct bucket *bucket, uint64_t now, uint64_t units);

#endif /* BUCKET_H */
