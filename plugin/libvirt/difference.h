/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The difference between two texts.
 */
#ifndef DIFFERENCE_H
#define DIFFERENCE_H

/* Prints the difference on stdout, as a unified diff, or the new text whole
   where the host has no diff(1).  0 or -errno. */
int difference_print(const char *old, const char *old_label, const char *new,
		     const char *new_label);

#endif /* DIFFERENCE_H */
