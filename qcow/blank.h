/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The bytes of an overlay that has nothing of its own. */
#ifndef QCOW_BLANK_H
#define QCOW_BLANK_H

#include "qcow/create.h"

struct blank {
	uint32_t cluster_bits;
	uint64_t size;
	uint64_t l1_entries;
	uint64_t table, blocks, l1; /* clusters of each */
	const char *name, *format;  /* of the file under it */
};

/* Finds the sizes of the tables; all else of the plan is filled in. */
int blank_plan(struct blank *plan, struct qcow_error *error);
/* The bytes of the file, and how many of them are not all zeros: the rest is
   the L1 table. */
uint64_t blank_end(const struct blank *plan);
uint64_t blank_bytes(const struct blank *plan);
/* Those that are not; free() frees them. */
int blank_put(const struct blank *plan, uint8_t **bytes,
	      struct qcow_error *error);

#endif /* QCOW_BLANK_H */
