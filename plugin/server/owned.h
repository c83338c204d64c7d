/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A server that a guest has taken over, for tests: see fault.h.
 */
#ifndef OWNED_H
#define OWNED_H

#include <stdbool.h>
#include <stdint.h>

struct qcow_names;

#ifdef TEST_FAULTS

struct owned_step {
	const char *name;
	int (*take)(void);
};

/* owned-clerk.c: those that go by the clerk; a name of NULL ends them. */
const struct owned_step *owned_clerk_steps(const struct qcow_names *names,
					   const char *image);

/* From now on a guest may take this server over. */
void owned_arm(int channel);

/* An image takes over the server that opens it. */
void owned_opening(int channel, const struct qcow_names *names,
		   const char *image);

/* A guest asks for these sectors. */
void owned_by(uint64_t sector, uint32_t count);

#else

static inline void owned_arm(int channel)
{
	(void)channel;
}

static inline void owned_opening(int channel, const struct qcow_names *names,
				 const char *image)
{
	(void)channel;
	(void)names;
	(void)image;
}

static inline void owned_by(uint64_t sector, uint32_t count)
{
	(void)sector;
	(void)count;
}

#endif

#endif /* OWNED_H */
