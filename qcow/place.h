/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Where a new file will be. */
#ifndef QCOW_PLACE_H
#define QCOW_PLACE_H

#include "qcow/options.h"

/* The new file, before and after it is at its path. */
struct place {
	char *directory; /* resolved */
	const char *name;
	char *temporary; /* path; NULL: it has no name yet */
	int directory_fd;
	int fd;
};

/* Looks where path leads: the directory is there, and the name is free.  On
   failure, too, place_leave() is due. */
int place_find(const char *path, struct place *place, struct qcow_error *error);
/* Opens an empty file for it, the owner's alone. */
int place_open(struct place *place);
/* Puts it at its path, durably.  -EEXIST: somebody was faster. */
int place_settle(const struct place *place);
void place_leave(struct place *place);

#endif /* QCOW_PLACE_H */
