/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The request that a server was at work for when a fault of its own ended it.
 *
 * The driver issues such a request again to the next server, with the tag that
 * it had.
 */
#ifndef CULPRIT_H
#define CULPRIT_H

#include <stdbool.h>
#include <stdint.h>

#define CULPRIT_GUILTY 3 /* deaths in a row; then it fails */

struct culprit {
	uint64_t sector;
	uint32_t sectors;
	uint16_t queue_id;
	uint16_t tag;
	uint8_t op;    /* UBLK_IO_OP_ */
	uint8_t alone; /* not 0: the server had begun nothing else; the byte
			  may be anything, a bool may not */
};

/* Are they one request, issued twice? */
static inline bool culprit_is(const struct culprit *one,
			      const struct culprit *other)
{
	return one->queue_id == other->queue_id && one->tag == other->tag &&
	       one->op == other->op && one->sector == other->sector &&
	       one->sectors == other->sectors;
}

#endif /* CULPRIT_H */
