/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A copy of an image, by qemu-img.
 */
#ifndef COPY_H
#define COPY_H

#include <stdint.h>

struct layers;

/* Copies all that an image shows to a new image at the path to, where an empty
   file is.  Both paths are absolute.  The layers are the files under the image;
   no other file is read.  rate: bytes in a second at most; 0: no limit.  Shows
   how far it is.  Returns the exit status, after a complaint. */
int copy_image(const char *from, const char *to, const struct layers *layers,
	       uint64_t rate);

#endif /* COPY_H */
