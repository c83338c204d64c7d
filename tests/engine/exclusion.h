/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The parts of `exclusion`: its image, its callers. */
#ifndef EXCLUSION_H
#define EXCLUSION_H

#include <pthread.h>
#include <stdatomic.h>
#include "qcow/qcow.h"
#include "tests/lib/disk.h"

#define CLUSTER 65536u
#define SMALL	512u

extern struct exclusion_test {
	struct disk disk;
	struct qcow_image *image;
	const char *what;
	uint8_t bytes[4 * CLUSTER] __attribute__((aligned(4096)));
} test;

enum call {
	WRITE,
	DISCARD,
	ZEROES,
};

struct caller {
	enum call call;
	uint64_t offset;
	size_t length;
	pthread_t thread;
	atomic_bool done;
	int ret;
};

/* exclusion-callers.c */

/* Makes the image in the scratch directory with a command, and opens it. */
void start(const char *what, const char *make);
void start_usual(const char *what);
/* Closes the image, and judges it. */
void end(void);

/* A call that must succeed, on a thread of its own. */
void start_caller(struct caller *caller);
void end_caller(struct caller *caller);
/* A call that must succeed, on this thread. */
void do_call(enum call kind, uint64_t offset, size_t length);
/* Gives the caller a while; the call must not end meanwhile. */
void must_not_be_done(const struct caller *caller);

/* exclusion-turns.c */

void test_turns(void);

#endif /* EXCLUSION_H */
