/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The world of clerk and clerk-owned: see clerk-world.c. */
#ifndef CLERK_WORLD_H
#define CLERK_WORLD_H

#include <stdbool.h>

#define NONCE	  7ull
#define FEATURES  0x1234567890ull
#define OURS	  1 /* a device */
#define OF_OTHERS 2

/* From now on the process has the journals of a new tmpfs; false: the machine
   does not let it. */
bool make_world(void);

/* The user for whom the last node was made, in memory that all cases share. */
extern unsigned int *node_user;

/* End the process if that does not hold, or was done. */
void expect(bool holds, const char *what);
void expect_refused(int ret, const char *what);

#endif /* CLERK_WORLD_H */
