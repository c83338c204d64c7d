/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A copy of an image, by qemu-img.
 */
#ifndef COPY_H
#define COPY_H

#include <stdint.h>

/* Copies all that an image shows to a new image at the path to, where an empty
   file is.  Both paths are absolute.  rate: bytes in a second at most; 0: no
   limit.  Shows how far it is.  Returns the exit status, after a complaint. */
int copy_image(const char *from, const char *to, uint64_t rate);

#endif /* COPY_H */
