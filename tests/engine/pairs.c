// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A greedy cover.  A tuple is a choice of values for some `ways` axes.  Every
 * tuple is wanted that a legal combination can contain.  Each combination
 * begins with the first tuple that is still wanted.  The other axes are added
 * in random order, each with the value that completes the most wanted tuples.
 * Several such combinations are made, and the best is taken.  The tuples that
 * it contains are not wanted any more.
 *
 * Tuples are numbered.  The set of axes gives the number of its first tuple;
 * the values are the digits of the rest.
 */
#include <stdlib.h>
#include <string.h>
#include "tests/engine/pairs.h"

#define TRIES 12

struct subset {
	unsigned int axes; /* a bit for each */
	size_t first;	   /* number of its first tuple */
};

struct cover {
	const struct axes *axes;
	struct random *random;
	struct subset *subsets;
	unsigned int nr_subsets;
	bool *wanted; /* tuples */
	size_t nr_tuples, next;
};

/* ---- tuples ---- */

static size_t number_of(const struct cover *cover, const struct subset *subset,
			const unsigned int *values)
{
	size_t digits = 0;

	for (unsigned int a = 0; a < cover->axes->count; a++)
		if (subset->axes >> a & 1)
			digits = digits * cover->axes->sizes[a] + values[a];
	return subset->first + digits;
}

static void values_of(const struct cover *cover, const struct subset *subset,
		      size_t number, unsigned int *values)
{
	number -= subset->first;
	for (unsigned int a = cover->axes->count; a--;) {
		if (!(subset->axes >> a & 1))
			continue;
		values[a] = number % cover->axes->sizes[a];
		number /= cover->axes->sizes[a];
	}
}

static size_t tuples_in(const struct cover *cover, unsigned int axes)
{
	size_t count = 1;

	for (unsigned int a = 0; a < cover->axes->count; a++)
		if (axes >> a & 1)
			count *= cover->axes->sizes[a];
	return count;
}

static void list_subsets(struct cover *cover, unsigned int ways)
{
	unsigned int all = 1u << cover->axes->count;

	cover->subsets = calloc(all, sizeof(*cover->subsets));
	for (unsigned int axes = 0; axes < all; axes++) {
		if ((unsigned int)__builtin_popcount(axes) != ways)
			continue;
		cover->subsets[cover->nr_subsets++] = (struct subset){
			.axes = axes,
			.first = cover->nr_tuples,
		};
		cover->nr_tuples += tuples_in(cover, axes);
	}
}

static const struct subset *subset_of(const struct cover *cover, size_t number)
{
	unsigned int n = cover->nr_subsets - 1;

	while (cover->subsets[n].first > number)
		n--;
	return &cover->subsets[n];
}

/* ---- combinations ---- */

/* Can each axis that has no value yet be given one? */
static bool is_possible(const struct axes *axes, unsigned int *values,
			unsigned int known)
{
	unsigned int next = __builtin_ctz(~known);

	if (!axes->legal(values, known))
		return false;
	if (next >= axes->count)
		return true;
	for (unsigned int v = 0; v < axes->sizes[next]; v++) {
		values[next] = v;
		if (is_possible(axes, values, known | 1u << next))
			return true;
	}
	return false;
}

static bool can_extend(const struct cover *cover, const unsigned int *values,
		       unsigned int known)
{
	unsigned int copy[PAIRS_AXES];

	memcpy(copy, values, sizeof(copy));
	return is_possible(cover->axes, copy, known);
}

static void list_wanted(struct cover *cover)
{
	unsigned int values[PAIRS_AXES] = { 0 };

	cover->wanted = calloc(cover->nr_tuples, sizeof(*cover->wanted));
	for (unsigned int n = 0; n < cover->nr_subsets; n++) {
		const struct subset *s = &cover->subsets[n];
		size_t count = tuples_in(cover, s->axes);

		for (size_t i = s->first; i < s->first + count; i++) {
			values_of(cover, s, i, values);
			cover->wanted[i] = can_extend(cover, values, s->axes);
		}
	}
}

/* The number of complete wanted tuples that contain the axis. */
static unsigned int gain(const struct cover *cover, const unsigned int *values,
			 unsigned int known, unsigned int axis)
{
	unsigned int count = 0;

	for (unsigned int n = 0; n < cover->nr_subsets; n++) {
		const struct subset *s = &cover->subsets[n];

		if (s->axes >> axis & 1 && !(s->axes & ~known))
			count += cover->wanted[number_of(cover, s, values)];
	}
	return count;
}

/* Gives the axis the value that gains most.  Of several such values it takes
   one by chance, but not the dear one.  Returns the gain. */
static unsigned int choose(const struct cover *cover, unsigned int *values,
			   unsigned int known, unsigned int axis)
{
	unsigned int best = 0, best_value = 0, equal = 0;

	known |= 1u << axis;
	for (unsigned int v = 0; v < cover->axes->sizes[axis]; v++) {
		bool dear = axis == cover->axes->dear_axis &&
			    v == cover->axes->dear_value;
		unsigned int score;

		values[axis] = v;
		if (!can_extend(cover, values, known))
			continue;
		score = 2 * gain(cover, values, known, axis) + !dear;
		if (score > best)
			equal = 0;
		if (score < best || random_below(cover->random, ++equal))
			continue;
		best = score;
		best_value = v;
	}
	values[axis] = best_value;
	return best / 2;
}

static void shuffle(struct random *random, unsigned int *order,
		    unsigned int count)
{
	for (unsigned int i = 0; i < count; i++) {
		unsigned int j = random_below(random, i + 1);

		order[i] = order[j];
		order[j] = i;
	}
}

/* Builds a combination from the first wanted tuple on; returns the gain of the
   other axes. */
static unsigned int build(const struct cover *cover, unsigned int *values)
{
	const struct subset *s = subset_of(cover, cover->next);
	unsigned int order[PAIRS_AXES], known = s->axes, gained = 0;

	values_of(cover, s, cover->next, values);
	shuffle(cover->random, order, cover->axes->count);
	for (unsigned int n = 0; n < cover->axes->count; n++) {
		if (known >> order[n] & 1)
			continue;
		gained += choose(cover, values, known, order[n]);
		known |= 1u << order[n];
	}
	return gained;
}

static void build_best(const struct cover *cover, unsigned int *best)
{
	unsigned int values[PAIRS_AXES] = { 0 }, most = 0;

	for (unsigned int n = 0; n < TRIES; n++) {
		unsigned int gained = build(cover, values);

		if (n && gained <= most)
			continue;
		most = gained;
		memcpy(best, values, sizeof(values));
	}
}

static void strike_out(struct cover *cover, const unsigned int *values)
{
	for (unsigned int n = 0; n < cover->nr_subsets; n++)
		cover->wanted[number_of(cover, &cover->subsets[n], values)] =
			false;
	while (cover->next < cover->nr_tuples && !cover->wanted[cover->next])
		cover->next++;
}

unsigned int pairs_make(const struct axes *axes, unsigned int ways,
			struct random *random, struct combination **chosen)
{
	struct cover cover = { .axes = axes, .random = random };
	unsigned int count = 0, room = 0;

	*chosen = NULL;
	list_subsets(&cover, ways < axes->count ? ways : axes->count);
	list_wanted(&cover);
	while (cover.next < cover.nr_tuples && !cover.wanted[cover.next])
		cover.next++;
	while (cover.next < cover.nr_tuples) {
		if (count == room) {
			room = 2 * room + 64;
			*chosen = realloc(*chosen, room * sizeof(**chosen));
		}
		build_best(&cover, (*chosen)[count].values);
		strike_out(&cover, (*chosen)[count].values);
		count++;
	}
	free(cover.subsets);
	free(cover.wanted);
	return count;
}
