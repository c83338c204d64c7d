/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Random changes to an image by qemu-io: data, zeros, discards, compressed
   clusters. */
#ifndef SCRIBBLE_H
#define SCRIBBLE_H

#include "tests/lib/helpers.h"

/*
 * Writes to a qcow2 image; sizes are bytes.  At most `packed` clusters become
 * compressed ones.  One of them is the disk's last cluster; the other writes
 * leave it alone.
 */
void scribble(const char *path, uint64_t size, uint32_t cluster,
	      unsigned int packed, struct random *random);
/* Writes to an image of any format that qemu-io knows; nothing is
   compressed. */
void scribble_plain(const char *path, const char *format, uint64_t size,
		    struct random *random);

/* A file with bytes for `qemu-io -c 'write -s ...'`. */
const char *scribble_pattern(void);

#endif /* SCRIBBLE_H */
