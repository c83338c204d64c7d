/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The parts of the load program: load.c, options.c, helpers.c. */
#ifndef LOAD_H
#define LOAD_H

#include "tests/load/ledger.h"

enum kind { WRITE, READ, DISCARD, ZEROES, KINDS, FSYNC = KINDS };

struct op {
	enum kind kind;
	uint64_t first;	 /* block */
	uint32_t count;	 /* blocks */
	uint64_t length; /* bytes */
	bool unmap;
	char *buffer;
	int result;	 /* of a helper */
	double begun;	 /* seconds */
	struct op *next; /* free, or waiting for a helper */
};

/* options.c */

struct options {
	const char *path, *ledger, *later, *latencies;
	struct geometry geometry;
	unsigned int depth;
	unsigned int max_blocks; /* of one write or read */
	unsigned int mix[KINDS]; /* weights */
	uint64_t discard_align;
	double seconds, rate;
	uint64_t ops;
	unsigned int fsync_every;
	unsigned int dsync_every;
	bool sequential, verify, verify_only, tolerate, touched_only, tell;
};
extern struct options options;

void parse_options(int argc, char **argv);
void __attribute__((noreturn, format(printf, 2, 3)))
die(int error, const char *format, ...);

/* helpers.c */

/* Starts the threads.  For every operation that ends, a thread writes its
   pointer to a pipe.  Returns the end of that pipe for reading. */
int helpers_start(int disk, bool is_device, const struct ledger *ledger);
void helpers_give(struct op *op);

#endif /* LOAD_H */
