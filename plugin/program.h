/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Our other programs, which lie beside the one that runs.
 */
#ifndef PROGRAM_H
#define PROGRAM_H

/* Becomes that program, with these arguments and its name as the first one;
   returns -errno only if it cannot. */
int program_become(const char *name, char **argv);

#endif /* PROGRAM_H */
