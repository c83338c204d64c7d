/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The parts of `crash`: a disk that was written to, and the judgement on each
 * of its steps.
 */
#ifndef CRASH_H
#define CRASH_H

#include <stdbool.h>
#include <stdint.h>
#include "tests/lib/disk.h"
#include "tests/lib/operations.h"

#define SECTOR	     512u
#define OPERATIONS   60
#define JOURNAL_SIZE (8u << 10)
#define STAMPED	     1000000u /* the number of no operation */

struct geometry {
	const char *options; /* of qemu-img create */
	uint32_t cluster;
	const char *size;
	enum base {
		EMPTY,
		NEARLY_FULL, /* the refcount table has to move */
		DEVICE,	     /* on a block device */
		COMPRESSED,
		SNAPSHOT,
		OVERLAY,
	} base; /* what the image is to begin with */
};

extern struct crash_test {
	const struct geometry *geometry;
	uint64_t size; /* of the virtual disk */
	struct operation operations[OPERATIONS];
	uint32_t *before; /* stamps when the life began */
	uint32_t *after;  /* after the first known operations */
	unsigned int known;
	bool fresh;    /* it began with an empty journal */
	char *journal; /* path */
	uint64_t deaths, powers, checks;
} test;

/* The one journal in the scratch directory. */
const char *journal_path(void);

/* Ends the test unless ret is 0. */
void must(int ret, const char *what);

struct qcow_image *open_disk(struct disk *disk, bool force);

/* crash-judge.c */

/* One stamp for each sector of the virtual disk, 0 at first. */
uint32_t *new_stamps(void);

void read_stamps(struct qcow_image *image, uint32_t *stamps, const char *where);

/* Makes each step of a record a death and a power loss, and judges them. */
void judge_steps(const struct disk *base, const struct disk *record,
		 struct random *random);

#endif /* CRASH_H */
