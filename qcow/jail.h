/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The steps by which a process that reads a stranger's image gives up all that
 * it has no use for (P6).  The processes of a jail, and a server, are made of
 * these steps.
 *
 * A step that the kernel does not have, or that the process has no right to, is
 * left out, unless its comment says otherwise.  Functions return 0 or -errno.
 */
#ifndef QCOW_JAIL_H
#define QCOW_JAIL_H

#include <linux/capability.h>
#include <stdint.h>
#include <sys/resource.h>

/* To read everybody's files; and to write them. */
#define JAIL_READS  CAP_TO_MASK(CAP_DAC_READ_SEARCH)
#define JAIL_WRITES (JAIL_READS | CAP_TO_MASK(CAP_DAC_OVERRIDE))

/* Only these stay permitted, and become effective; none is inheritable. */
int jail_limit_capabilities(uint32_t kept);

/* Makes an id of our own the user of all threads, which ends all capabilities.
   A process adds its pid to JAIL_PROCESSES.  A container may have no such ids:
   then the user is nobody. */
#define JAIL_PROCESSES (1u << 20)
int jail_change_user(uint32_t id);

/* An own user, name spaces without a network, no privilege by executing, no
   look into the process by others; of the capabilities these alone, if the
   process has them.  With one thread.  The process still opens files as the
   user that it was, if it keeps any capability: file servers know no
   capabilities.  -EOWNERDEAD: the parent, with which it should die, is dead. */
int jail_fall(uint32_t capabilities);

/* No capability, and no file as another user.  Fails likewise. */
int jail_end_files(void);

int jail_limit(int resource, rlim_t value);
/* A descriptor that tells how much is mapped.  0 or -errno. */
int jail_open_size(int *size);
/* Beside all that is mapped now, so many bytes more. */
int jail_limit_memory(int size, uint64_t room);

#endif /* QCOW_JAIL_H */
