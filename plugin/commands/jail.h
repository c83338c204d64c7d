/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The jail of a command that reads an image.
 */
#ifndef JAIL_H
#define JAIL_H

#include <stdbool.h>
#include "qcow/qcow.h"

/* Before the image is opened: the process keeps what it takes to read it, and
   the files that it may name (NULL: none), or to repair it.  A step that the
   kernel does not have is left out.  0 or -errno. */
int jail_command(const char *image, const struct qcow_references *references,
		 bool repair);

#endif /* JAIL_H */
