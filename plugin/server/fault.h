/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Faults for tests: the server without one of its safety measures, to show
 * what the measure is good for.  Only a program built with TEST_FAULTS knows
 * them; UBLK_QCOW2_FAULT then names those that it shall have, separated by
 * commas.
 *
 *	no-fence-ring	/dev/ublkcN is used without being a file of the ring
 *	no-fence-lock	the engine does without its fence byte
 *	no-landlock	as on a kernel without Landlock
 *	no-seccomp	as on a kernel without seccomp
 *	old-protocol	the supervisor speaks with commands as an earlier
 *			version did (common/rpc.c)
 *	owned		a guest's write makes the server take the steps of
 *			owned.c
 */
#ifndef FAULT_H
#define FAULT_H

#include <stdbool.h>

struct qcow_options;

#ifdef TEST_FAULTS

/* Shall the server have this fault? */
bool fault(const char *name);

/* Passes on the faults that are the engine's. */
void fault_options(struct qcow_options *options);

#else

static inline bool fault(const char *name)
{
	(void)name;
	return false;
}

static inline void fault_options(struct qcow_options *options)
{
	(void)options;
}

#endif

#endif /* FAULT_H */
