/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The queues from the inside; for queue*.c only.
 */
#ifndef QUEUE_INSIDE_H
#define QUEUE_INSIDE_H

#include <liburing.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "plugin/server/buffers.h"
#include "plugin/server/request.h"

/* The ring's files. */
enum {
	FILE_DEVICE,
	FILE_WORKERS,
	FILE_END,
	FILE_IMAGE,
};

/* Some hardware queues, one after the other, and their I/O thread, the owner of
   all of this once it runs; until then the main thread is the owner. */
struct queue {
	struct io_uring ring;
	unsigned int first;	   /* hardware queue, */
	unsigned int count;	   /* and how many */
	int device_file;	   /* how commands name /dev/ublkcN, */
	unsigned int device_flags; /* and IOSQE_FIXED_FILE */
	int fd;			   /* itself, the device's */
	bool user_copy;	     /* the driver copies no bytes of its own accord, */
	bool registers;	     /* but registers them: the tag's index */
	unsigned int tags;   /* of all these */
	unsigned int depth;  /* tags of one */
	unsigned int alive;  /* tags not yet gone; I/O thread */
	int error;	     /* ends the I/O thread; I/O thread */
	atomic_bool leaving; /* set by any thread */
	uint64_t wakeups;    /* where the eventfd is read to */
	struct buffers buffers;
	size_t pinned; /* bytes of each that are registered: the tag's index */
	struct requests all;
	struct request *requests;    /* [tags] */
	struct io_uring_sqe nowhere; /* see queue_sqe() */
};

/* Which kind of command or transfer has ended. */
enum completion {
	COMPLETION_TAG, /* the driver gave a tag back */
	COMPLETION_TRANSFER,
	COMPLETION_GATHERED, /* a transfer of several requests */
	COMPLETION_WORKERS,
};

/* user_data: the kind (8 bits), the number of the extent (8), and the index of
   the request (32). */
static inline uint64_t queue_pack(enum completion completion,
				  unsigned int extent, unsigned int index)
{
	return (uint64_t)completion << 56 | (uint64_t)extent << 48 | index;
}

static inline unsigned int queue_index(const struct queue *queue,
				       const struct request *request)
{
	return request - queue->requests;
}

/* queue.c: an entry of the ring to fill; never NULL. */
struct io_uring_sqe *queue_sqe(struct queue *queue);

#endif /* QUEUE_INSIDE_H */
