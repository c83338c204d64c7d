/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The rules of the journal and the checkpoint, told once more and without the
 * engine: a model that goes through a record step by step.
 */
#ifndef RULES_H
#define RULES_H

#include <stdint.h>
#include "tests/engine/instants.h"

struct rules_counts {
	uint64_t steps, groups; /* compared so far */
};

/* The test ends with the name if the record breaks a rule. */
void rules_check(const struct instants *instants, const char *name,
		 struct rules_counts *counts);

#endif /* RULES_H */
