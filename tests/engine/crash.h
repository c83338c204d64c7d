/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The parts of `crash`: a disk that was written to, and the judgement on each
 * of its steps.
 */
#ifndef CRASH_H
#define CRASH_H

#include <stdbool.h>
#include <stdint.h>
#include "tests/engine/script.h"

#define SECTOR 512u

extern struct crash_test {
	struct script script;
	char *journal; /* path */
	uint64_t deaths, powers, checks;
} test;

/* The one journal in the scratch directory. */
const char *journal_path(void);

/* Ends the test unless ret is 0. */
void must(int ret, const char *what);

struct qcow_image *open_disk(struct disk *disk, bool force);

/* crash-judge.c */

void read_stamps(struct qcow_image *image, uint32_t *stamps, const char *where);

/* Makes each step of a record a death and a power loss, and judges them. */
void judge_steps(const struct disk *base, const struct disk *record,
		 struct random *random);

#endif /* CRASH_H */
