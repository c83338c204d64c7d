/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The free host clusters in each part of the file, as far as known. */
#ifndef QCOW_STRETCHES_H
#define QCOW_STRETCHES_H

#include <stdbool.h>
#include <stdint.h>

#define STRETCHES_MAX 65536u

/* All zero but for bits: nothing is known. */
struct stretches {
	uint64_t full[STRETCHES_MAX / 64]; /* nothing is free there */
	uint64_t
		zero[STRETCHES_MAX / 64]; /* free clusters there read as zero */
	unsigned int bits;		  /* log2 of the clusters in each */
	uint64_t first, end; /* clusters that were passed in a row: none of them
				is free */
	uint64_t gains;	     /* how often clusters became free */
};

/* No cluster from first up to end is free now. */
void stretches_pass(struct stretches *s, uint64_t first, uint64_t end);
/* The same, found out otherwise than by passing them. */
void stretches_fill(struct stretches *s, uint64_t first, uint64_t end);
/* Clusters may be free from now on. */
void stretches_gain(struct stretches *s, uint64_t first, uint64_t count);
/* The next cluster from this one on that may be free. */
uint64_t stretches_skip(const struct stretches *s, uint64_t cluster);
/* All of these clusters read as zero and are free, or about to be. */
void stretches_punch(struct stretches *s, uint64_t first, uint64_t count);
/* Something may be written to these clusters while they are free. */
void stretches_soil(struct stretches *s, uint64_t first, uint64_t count);
/* Does this cluster read as zero, if it is free? */
bool stretches_read_zero(const struct stretches *s, uint64_t cluster);

#endif /* QCOW_STRETCHES_H */
