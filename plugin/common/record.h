/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A small text in a file that can be replaced when its file system is full. */
#ifndef RECORD_H
#define RECORD_H

#include <stddef.h>

/* Reads the text; free() frees *text, which ends with a 0.  Returns:
   0		*text is the text
   -ENOENT	there is no such file
   -EPROTO	a later version of this program wrote the file
   -EBADMSG	the file is damaged
   or another -errno. */
int record_read(const char *path, char **text);

/* Replaces the text, or makes the file.  A reader sees the old text or the new
   one, also after a death of the writer at any moment.  A text that is at
   most RECORD_SPARE bytes longer than the one that made the file, or
   RECORD_ROOM bytes longer than the last one, needs no room; the latter if
   there was room when that one was written.  0 or -errno. */
#define RECORD_SPARE 2048
#define RECORD_ROOM  1024
int record_write(const char *path, const char *text, size_t length);

#endif /* RECORD_H */
