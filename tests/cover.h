/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Few combinations of the values of many axes in which everything meets. */
#ifndef COVER_H
#define COVER_H

#include <stdbool.h>
#include "helpers.h"

#define COVER_AXES	16	/* at most */

struct axes {
	unsigned int count;
	const unsigned int *sizes;	/* how many values each has */
	/* May these values come together?  Only axes whose bit is set in
	   known have one. */
	bool (*legal)(const unsigned int *values, unsigned int known);
	/* A value that costs more than others: taken only if it gains. */
	unsigned int dear_axis, dear_value;
};

struct combination {
	unsigned int values[COVER_AXES];
};

/*
 * Chooses legal combinations in which any values of any `ways` axes come
 * together, if they can: pairs for 2, the whole product for as many as there
 * are axes.  The choice depends on the random numbers only.  Returns how many
 * there are; the caller frees them.
 */
unsigned int cover_make(const struct axes *axes, unsigned int ways,
			struct random *random, struct combination **chosen);

#endif /* COVER_H */
