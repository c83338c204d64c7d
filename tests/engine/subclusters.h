/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The image of `subclusters`. */
#ifndef SUBCLUSTERS_H
#define SUBCLUSTERS_H

#include <stdbool.h>
#include <stdint.h>

#define CLUSTER	       65536u
#define STATES	       15u /* of a guest cluster */
#define STATE_CLUSTERS 28u /* guest clusters of each state */
#define CLUSTERS       (STATES * STATE_CLUSTERS)
#define SIZE	       (CLUSTERS * (uint64_t)CLUSTER - 30 * 512)
#define BASE_SIZE      (SIZE * 3 / 4 / 512 * 512)

struct variant {
	const char *name;
	bool backing, snapshot, data_file, raw;
};

extern const struct variant variants[];
extern const unsigned int nr_variants;

/* subclusters-image.c */

/* The state that a guest cluster is made in, in words. */
const char *image_state(uint64_t guest);

/* Makes an image of a variant, with clusters of all states. */
void image_make(const char *path, const struct variant *variant);

#endif /* SUBCLUSTERS_H */
