/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The I/O threads of answered, and the threads that stand for the kernel. */
#ifndef ANSWERED_H
#define ANSWERED_H

#include <pthread.h>
#include <stdbool.h>
#include "plugin/server/request.h"
#include "tests/lib/helpers.h"

#define THREADS 3
#define DEPTH	24  /* tags of a thread */
#define SECTORS 96u /* of a tag */
#define GROUP	8u  /* of them lie side by side */
#define SECTOR	512u
#define MAX_IO	(512u << 10)

/* What a sector may hold. */
struct sector {
	uint32_t generation;
	bool zero;	 /* zeros, and not the generation */
	bool maybe_zero; /* or zeros */
};

struct tag {
	struct request request;
	struct ublksrv_io_desc desc;
	uint8_t *buffer;
	struct sector sectors[SECTORS];
	bool busy;
	uint8_t op;
	unsigned int first, count; /* sectors of the tag */
};

struct asker {
	struct requests all;
	struct tag tags[DEPTH];
	unsigned int number;
	struct random random;
	unsigned int left; /* requests to begin */
	unsigned int busy;
	int wakeups; /* eventfd */
	pthread_mutex_t lock;
	struct transfer_call *ended; /* lock */
};

/* A system call of a ring. */
struct transfer_call {
	struct transfer_call *next;
	struct request *request;
	unsigned int extent;
	bool gathered;
	enum { CALL_READ, CALL_WRITE, CALL_SYNC } kind;
	int fd;
	const struct iovec *parts;
	unsigned int count;
	struct iovec part;
	uint64_t offset;
	int result;
};

struct asker *asker_of(struct request *request);

/* answered-kernel.c */

void kernel_start(void);
/* Its files are those of the rings from now on. */
void kernel_image(struct qcow_image *image);
/* The calls of the thread that have ended, in any order. */
struct transfer_call *kernel_reap(struct asker *thread);

#endif /* ANSWERED_H */
