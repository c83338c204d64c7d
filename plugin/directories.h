/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Where backing files may lie, besides an image's own directory (P6). */
#ifndef DIRECTORIES_H
#define DIRECTORIES_H

/* Reads the admin's list; *list ends with NULL and is never freed.  A list
   that is not there is empty. */
int directories_read(const char *const **list);

#endif /* DIRECTORIES_H */
