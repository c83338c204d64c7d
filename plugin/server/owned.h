/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A server that a guest has taken over, for tests: see fault.h.
 */
#ifndef OWNED_H
#define OWNED_H

#include <stdbool.h>
#include <stdint.h>

#ifdef TEST_FAULTS

/* From now on a guest may take this server over. */
void owned_arm(int channel);

/* A guest asks for these sectors. */
void owned_by(uint64_t sector, uint32_t count);

#else

static inline void owned_arm(int channel)
{
	(void)channel;
}

static inline void owned_by(uint64_t sector, uint32_t count)
{
	(void)sector;
	(void)count;
}

#endif

#endif /* OWNED_H */
