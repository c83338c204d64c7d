/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Names of files, for functions of the engine that look before an open: by
 * qcow_names_here.
 */
#ifndef QCOW_NAMES_USED_H
#define QCOW_NAMES_USED_H

#include <sys/stat.h>

/* As stat(2).  0 or -errno. */
int names_look(const char *path, struct stat *st);

/* A descriptor that tells of the file and cannot read it (O_PATH), or
   -errno. */
int names_find(const char *path);

/* As realpath(3) that allocates: NULL and errno. */
char *names_real(const char *path);

#endif /* QCOW_NAMES_USED_H */
