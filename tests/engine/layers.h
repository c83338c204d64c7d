/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The parts of `layers`.
 */
#ifndef LAYERS_H
#define LAYERS_H

#include <stdint.h>

/* Makes a raw file: zeros, noise, text, in stretches.  Its stamps are those of
   operation 0x100 and up, so that they differ from the stamps of a test's
   writes. */
void make_raw(const char *path, uint64_t size);

/* layers-known.c */

/* Tests which files a disk's later servers take, and the locks on them. */
void test_known_layers(void);

/* Tests that an image consists of so many files and no more. */
void test_many_files(void);

#endif /* LAYERS_H */
