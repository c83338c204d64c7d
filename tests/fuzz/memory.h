/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The fuzz targets share this: the input as a disk in memory, which the engine
 * uses in place of the image's file.  The disk is bounded, as every disk is: a
 * write past its capacity fails with -ENOSPC.
 */
#ifndef MEMORY_H
#define MEMORY_H

#include <stddef.h>
#include <stdint.h>
#include "qcow/bits.h"
#include "qcow/file.h"
#include "qcow/format.h"
#include "qcow/journal.h"

#define MEMORY_CAPACITY (16u << 20)

struct memory {
	uint8_t *bytes; /* MEMORY_CAPACITY of them */
	size_t size;
	char path[256];	     /* of the file that the disk stands for */
	char directory[256]; /* of that file, and of the journal */
	char journal[512];
	struct qcow_test_hooks hooks;
};

/* The one disk of this process, holding these bytes. */
struct memory *memory_load(const uint8_t *bytes, size_t size);

/* Options for an open of the disk. */
struct qcow_options memory_options(const struct memory *memory, bool read_only);

/* Opens the image, does a bit of everything to it, closes it.  The seed gives
   the numbers that the operations need. */
void memory_use(const struct memory *memory, const struct qcow_options *options,
		uint64_t seed);

/* Ends the fuzzing: the input has found a bug. */
void memory_complain(const char *what) __attribute__((noreturn));

uint64_t memory_hash(const uint8_t *bytes, size_t size);

/* A function of libFuzzer's, which has no header for C. */
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);
size_t LLVMFuzzerMutate(uint8_t *bytes, size_t size, size_t max_size);
size_t LLVMFuzzerCustomMutator(uint8_t *bytes, size_t size, size_t max_size,
			       unsigned int seed);

#endif /* MEMORY_H */
