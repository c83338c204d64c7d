/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The mark of an overlay that was merged down (qcow/merged.c), and of those
 * that lay below it, for a supervisor and for the removal of a disk.
 */
#ifndef MARK_H
#define MARK_H

#include "plugin/common/process.h"
#include "plugin/common/state.h"

/* How the job below ends. */
enum {
	MARKED,
	NOT_MARKED, /* for a reason in text, which another try does not mend */
};

struct mark {
	const struct disk *disk;
	const struct layers *layers; /* their merged ones */
};

/* A job (process.h): marks all that the record of a disk names as merged.  The
   argument is a struct mark. */
int mark_overlay(const void *mark, char *text);

/* Puts into the log the admin's remedy if one of them is not marked. */
void mark_failed(const struct disk *disk, const char *why);

#endif /* MARK_H */
