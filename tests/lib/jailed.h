/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The limits of a process in the jail of common/jail.c. */
#ifndef JAILED_H
#define JAILED_H

#include <sys/types.h>

/* Ends the test, or the child, if this process is tester, or has no jail.  The
   file at path may be read, if at all. */
void expect_jail(pid_t tester, const char *path);

#endif /* JAILED_H */
