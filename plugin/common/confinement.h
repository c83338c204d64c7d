/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The steps that keep a server from everything but its disk (P6), as bits, and
 * the names of these bits.
 */
#ifndef CONFINEMENT_H
#define CONFINEMENT_H

#include <stddef.h>

enum confinement {
	CONFINED_USER = 1 << 0,	      /* no capability, a user of its own */
	CONFINED_NAMESPACES = 1 << 1, /* an empty root; not on every host */
	CONFINED_RING = 1 << 2,	      /* its operations and files */
	CONFINED_LANDLOCK = 1 << 3,   /* not in every kernel */
	CONFINED_SECCOMP = 1 << 4,    /* not in every kernel */
};

#define CONFINED_STEPS	5
#define CONFINED_WHOLLY ((1u << CONFINED_STEPS) - 1)

/* The name of a step, as `list --json` has it; step is below CONFINED_STEPS. */
const char *confinement_name(unsigned int step);

/* The names of these bits in text, with ", " between them. */
void confinement_list(unsigned int bits, char *text, size_t size);

#endif /* CONFINEMENT_H */
