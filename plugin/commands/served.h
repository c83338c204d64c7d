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

/* Finds the image that the word means: a file, or else the image of a disk.
   What is no file and no disk is taken for a file, and complained of by whoever
   opens it.  served->path lives as long as the word and *served. */
void served_find(const char *word, struct served *served);

#endif /* SERVED_H */
