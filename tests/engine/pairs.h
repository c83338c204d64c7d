/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Few combinations of the values of many axes.  Any values of a few axes meet
   in some combination. */
#ifndef PAIRS_H
#define PAIRS_H

#include <stdbool.h>
#include "tests/lib/helpers.h"

#define PAIRS_AXES 16 /* at most */

struct axes {
	unsigned int count;
	const unsigned int *sizes; /* how many values each has */
	/* May these values come together?  Only axes whose bit is set in
	   known have one. */
	bool (*legal)(const unsigned int *values, unsigned int known);
	/* A value that costs more than others: taken only if it gains. */
	unsigned int dear_axis, dear_value;
};

struct combination {
	unsigned int values[PAIRS_AXES];
};

/*
 * Chooses legal combinations in which any values of any `ways` axes come
 * together, if they can.  So 2 gives pairs, and the number of axes gives the
 * whole product.  The choice depends on the random numbers only.  Returns the
 * number of combinations; the caller frees them.
 */
unsigned int pairs_make(const struct axes *axes, unsigned int ways,
			struct random *random, struct combination **chosen);

#endif /* PAIRS_H */
