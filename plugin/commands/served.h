/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An image that a command is to look at, which may be one that we serve.
 */
#ifndef SERVED_H
#define SERVED_H

#include "plugin/common/state.h"

struct served {
	const char *path; /* of the image */
	bool is_served;
	struct disk disk; /* if it is */
};

/* Finds the image that the word means: a file, or else the image of a disk.  A
   word that means neither is taken for a file, whose opening then fails.
   served->path lives as long as the word and *served. */
void served_find(const char *word, struct served *served);

#endif /* SERVED_H */
