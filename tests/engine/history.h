/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Operations of several threads at once, and the stamps that each sector may
   hold at any instant. */
#ifndef HISTORY_H
#define HISTORY_H

#include <stdbool.h>
#include "tests/engine/geometry.h"
#include "tests/lib/operations.h"

#define HISTORY_MAX 64u

struct history {
	const struct geometry *geometry;
	uint64_t size;	/* of the virtual disk, bytes */
	uint32_t stamp; /* of all sectors to begin with */
	uint64_t time;	/* counts beginnings and ends */
	unsigned int nr;
	struct deed {
		struct operation operation;
		uint64_t began, ended; /* 0: not yet */
		bool failed;
	} deeds[HISTORY_MAX];
};

void history_create(struct history *history, const struct geometry *geometry,
		    uint64_t size);
/* An operation begins, and is given its number; and it has ended with this
   result. */
struct deed *history_begin(struct history *history,
			   const struct operation *operation);
void history_end(struct history *history, struct deed *deed, int result);

/* The time at which a sector was looked at. */
struct look {
	uint64_t from, to; /* the look took so long */
	bool power;	   /* after a loss of power at that time */
};

/* Dies if a sector cannot hold this stamp. */
void history_check(const struct history *history, const struct look *look,
		   uint64_t sector, uint32_t stamp, const char *where);

#endif /* HISTORY_H */
