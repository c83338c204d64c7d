/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Our check and qemu-img's, with the same exit statuses. */
#ifndef STATUSES_H
#define STATUSES_H

#include "qcow/qcow.h"

#define STATUS_SOUND	0
#define STATUS_FAILED	1
#define STATUS_CORRUPT	2
#define STATUS_LEAKS	3

/* memory: see struct qcow_check_options.  What it told is in the scratch
   file "told". */
int check_ours(const char *path, enum qcow_repair repair, size_t memory,
	       struct qcow_check *result);
/* What it says is in the scratch file "qemu". */
int check_theirs(const char *path, const char *options);
/* An image, as arguments of qemu-img's; LUKS needs the passphrase "secret".
   The caller frees it. */
char *qemu_name(const char *path);

#endif /* STATUSES_H */
