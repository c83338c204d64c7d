/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A request that kills one server after the other: the count, without a look at
 * anything.
 */
#ifndef POISON_H
#define POISON_H

#include <stdbool.h>
#include <stdint.h>
#include "plugin/common/culprit.h"

#define POISONS_MAX 4

/* All 0 at its beginning. */
struct poison {
	bool named;		    /* the server has named the request that it
				       dies of: */
	struct culprit name;	    /* that request, in the server's words */
	struct culprit culprit;	    /* of the last deaths, */
	unsigned int deaths;	    /*  which are so many in a row */
	bool untold;		    /* the culprit fails, and nobody was told */
	uint64_t failed;	    /* before that: stats.poisoned */
	unsigned int found;	    /* culprits that should fail */
	uint64_t when[POISONS_MAX]; /* the last of those, as a ring; ms */
};

/* Another server is there. */
void poison_begin(struct poison *poison);

/* The server says that it dies of a request. */
void poison_name(struct poison *poison, const struct culprit *name);

/* The server is dead, by this signal; 0: it ended in another way, or nobody
   knows.  poison->deaths is for the next server then. */
void poison_count(struct poison *poison, int signal, uint64_t now);

#endif /* POISON_H */
