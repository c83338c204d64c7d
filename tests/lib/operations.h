/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Random operations on a disk, and the bytes that each of its sectors may hold
 * then.  A write stamps its own number into every sector, so a sector tells
 * which operation wrote it; zero stands for zeros.
 */
#ifndef OPERATIONS_H
#define OPERATIONS_H

#include "tests/lib/helpers.h"
#include "qcow/qcow.h"

enum operation_kind {
	OPERATION_WRITE,
	OPERATION_DISCARD,
	OPERATION_ZEROES_UNMAP,
	OPERATION_ZEROES_KEEP,
	OPERATION_FLUSH,
};

struct operation {
	enum operation_kind kind;
	uint64_t offset, length; /* bytes */
	uint32_t number;	 /* from 1 */
};

/* Draws one for a disk of this size; not a flush if no_flush. */
void operation_draw(struct operation *operation, uint32_t number,
		    struct random *random, uint64_t size, uint32_t cluster,
		    bool no_flush);
/* Does it; mapped: writes go through the calls that never block if they can.
   Returns the engine's answer. */
int operation_do(const struct operation *operation, struct qcow_image *image,
		 bool mapped, const struct qcow_test_hooks *hooks);
/* How many writes of this process have copied the bytes around them. */
extern unsigned long operation_copies;
/* Does it change this sector?  If so, *stamp gets the new stamp. */
bool operation_changes(const struct operation *operation, uint64_t sector,
		       uint64_t size, uint32_t cluster, uint32_t *stamp);
/* Applies the operation to a copy of the disk. */
void operation_apply(const struct operation *operation, uint8_t *copy,
		     uint64_t size, uint32_t cluster);

/* The bytes that a write of this number leaves in a sector. */
void operation_stamp(uint8_t bytes[512], uint32_t number, uint64_t sector);
/* The stamp that a sector's bytes carry; dies if they are garbage. */
uint32_t stamp_of(const uint8_t bytes[512], uint64_t sector, const char *where);

#endif /* OPERATIONS_H */
