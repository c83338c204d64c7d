/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Names of disks: the characters that are allowed, and a name made of any
 * text.
 */
#ifndef NAME_H
#define NAME_H

#include <stddef.h>

#include "plugin/common/state.h"

/* Returns NULL if the name is good, else the reason why the name is not. */
const char *name_check(const char *name);

/* Makes the first length bytes of a text, which is not empty, into a good
   name. */
void name_make(const char *text, size_t length, char name[DISK_NAME_MAX + 1]);

#endif /* NAME_H */
