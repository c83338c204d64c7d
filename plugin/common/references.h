/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The files that images may name: the rules of the admin for all disks, and
   for one disk (P6). */
#ifndef REFERENCES_H
#define REFERENCES_H

#include "plugin/common/disk-options.h"
#include "qcow/qcow.h"

/* Reads the rules for all disks in /etc/ublk-qcow2/directories, which need not
   exist, and takes those for one disk from options, which the caller keeps.
   references_free() frees the lists, also after an error.  Returns:
   0		*references has the rules
   -EINVAL	a line of the file has no meaning
   or another -errno.  *error has one line then. */
int references_read(const struct disk_options *options,
		    struct qcow_references *references,
		    struct qcow_error *error);
void references_free(struct qcow_references *references);

#endif /* REFERENCES_H */
