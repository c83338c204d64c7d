/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The cause for which a disk cannot be served, as far as a decision depends on
 * the cause.  The text of a failure is for people; programs decide by this
 * enum.
 */
#ifndef CAUSE_H
#define CAUSE_H

#include <stdlib.h>

#define EXIT_IN_USE 3

enum failure_cause {
	CAUSE_PASSING, /* the next server may succeed */
	CAUSE_LASTING, /* it fails, too, until an admin mends something */
	CAUSE_IN_USE,  /* passes when another process lets go of a file */
};

/* The exit status of a command that fails for this cause; EXIT STATUS in
   ublk-qcow2(8) has them. */
static inline int cause_status(enum failure_cause cause)
{
	return cause == CAUSE_IN_USE ? EXIT_IN_USE : EXIT_FAILURE;
}

#endif /* CAUSE_H */
