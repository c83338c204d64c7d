/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The header of a file, read and not judged. */
#ifndef QCOW_INFO_H
#define QCOW_INFO_H

#include "qcow/header.h"

/* The header of an open file, and why the file would be refused as a layer; an
   empty text: it would not. */
int info_read(struct file *file, struct qcow_info *info,
	      struct qcow_error *refused, struct qcow_error *error);
/* Opens a file to read its header; the caller frees area->bytes. */
int info_open(const char *path, struct file *file, struct header *header,
	      struct header_area *area, struct qcow_error *error);

#endif /* QCOW_INFO_H */
