/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a disk may be called.
 */
#ifndef NAME_H
#define NAME_H

#include <stddef.h>

#include "plugin/common/state.h"

/* NULL: the name is good; or what is wrong with it. */
const char *name_check(const char *name);

/* Makes the first length bytes of a text, which is not empty, into a good
   name. */
void name_make(const char *text, size_t length, char name[DISK_NAME_MAX + 1]);

#endif /* NAME_H */
