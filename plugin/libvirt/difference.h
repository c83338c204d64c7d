/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The difference between two texts.
 */
#ifndef DIFFERENCE_H
#define DIFFERENCE_H

/* Prints it on stdout, as a unified diff; where the host has no diff, the new
   text whole.  -errno: that failed. */
int difference_print(const char *old, const char *old_label, const char *new,
		     const char *new_label);

#endif /* DIFFERENCE_H */
