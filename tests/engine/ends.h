/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Each step of a record is made an end: a death, and losses of power. */
#ifndef ENDS_H
#define ENDS_H

#include <stdbool.h>
#include "tests/lib/disk.h"
#include "tests/lib/helpers.h"

/* The judges of an end.  Slower judges look at a sample. */
struct ends {
	/* The disk and the journal of the step are as a death leaves them. */
	void (*death)(const struct disk *now, const struct step *step,
		      bool sample);
	/* The disk is as a loss of power leaves it, and may be changed. */
	void (*power)(struct disk *disk, const struct step *step, bool sample);
	unsigned int death_sample, power_sample; /* one of so many ends */
};

/* base is the disk before the record. */
void ends_judge(const struct ends *ends, const struct disk *base,
		const struct disk *record, struct random *random);

#endif /* ENDS_H */
