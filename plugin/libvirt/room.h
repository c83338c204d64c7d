/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef ROOM_H
#define ROOM_H

#include <stdbool.h>

/* May the image grow by 16 MiB?  Of an image on a device only a try can tell,
   and the answer is yes; it is no where the image cannot be reached.  The file
   system may hang: so a child asks. */
bool room_for(const char *image);

#endif /* ROOM_H */
