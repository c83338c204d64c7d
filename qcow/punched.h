/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Free host clusters that were punched, and so read as zero (R1). */
#ifndef QCOW_PUNCHED_H
#define QCOW_PUNCHED_H

#include <stdbool.h>
#include <stdint.h>

#define PUNCHED_SLOTS 4096u

/* All zero: knows of none. */
struct punched {
	uint64_t slots[PUNCHED_SLOTS]; /* a cluster plus one; 0: none */
};

/* Clusters were punched and nothing has been written to them since. */
void punched_add(struct punched *punched, uint64_t first, uint64_t count);
/* From now on that may no longer be so. */
void punched_remove(struct punched *punched, uint64_t first, uint64_t count);
bool punched_has(const struct punched *punched, uint64_t cluster);

#endif /* QCOW_PUNCHED_H */
