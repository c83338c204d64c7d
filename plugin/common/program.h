/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The programs that we run: our own, which lie beside the one that runs or in
 * libexec, and those of the system.
 */
#ifndef PROGRAM_H
#define PROGRAM_H

#include <limits.h>

/* Executes that program in place of this one, with these arguments and its
   name as the first one.  Returns only on failure: -errno. */
int program_become(const char *name, char **argv);

/* The program that this variable of the environment names, in a build for
   tests.  NULL in any other build: the environment must not choose a program
   that root runs. */
const char *program_choice(const char *variable);

/* Finds a program of the system in the system's own directories, not in
   PATH; -ENOENT.  A name with a / in it is a path already. */
int program_find(const char *name, char path[PATH_MAX]);

#endif /* PROGRAM_H */
