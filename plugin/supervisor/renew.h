/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A program that a supervisor has become.
 */
#ifndef RENEW_H
#define RENEW_H

#include <stdbool.h>

/* Is this the command line of such a program? */
bool renew_is_it(int argc, char **argv);

/* Goes on with the disk; returns the exit status. */
int renew_run(char **argv);

#endif /* RENEW_H */
