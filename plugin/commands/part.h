/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A file that has its name when it is whole.  Functions return the exit
 * status.
 */
#ifndef PART_H
#define PART_H

/* Makes the part, empty, for this process alone, until that ends. */
int part_make(const char *part);

/* The part becomes the file, and replaces none. */
int part_finish(const char *part, const char *file);

#endif /* PART_H */
