/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which files images may name: what the admin says of all disks and of one
   (P6). */
#ifndef REFERENCES_H
#define REFERENCES_H

#include <stdbool.h>
#include "qcow/qcow.h"

/* Reads /etc/ublk-qcow2/directories; without that file nothing is said of all
   disks.  data_file (or NULL) and none are what was said of this one.  The
   lists are never freed.  -EINVAL: a line of the file cannot be understood;
   or another -errno; *error has one line. */
int references_read(const char *data_file, bool none,
		    struct qcow_references *references,
		    struct qcow_error *error);

#endif /* REFERENCES_H */
