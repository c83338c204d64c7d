/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which files images may name: what the admin says of all disks and of one
   (P6). */
#ifndef REFERENCES_H
#define REFERENCES_H

#include "plugin/common/disk-options.h"
#include "qcow/qcow.h"

/* Reads /etc/ublk-qcow2/directories; without that file nothing is said of all
   disks; options say what was said of this one, and stay the caller's.
   references_free() frees the lists, also after an error.  -EINVAL: a line of
   the file cannot be understood; or another -errno; *error has one line. */
int references_read(const struct disk_options *options,
		    struct qcow_references *references,
		    struct qcow_error *error);
void references_free(struct qcow_references *references);

#endif /* REFERENCES_H */
