/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The queues from the inside; for queue*.c only.
 */
#ifndef QUEUE_INSIDE_H
#define QUEUE_INSIDE_H

#include <liburing.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "plugin/server/request.h"

/* The ring's files. */
enum {
	FILE_DEVICE,
	FILE_WORKERS,
	FILE_IMAGE,
};

/* The I/O thread's, once it runs; until then the main thread's. */
struct queue {
	struct io_uring ring;
	int device_file;	   /* how commands name /dev/ublkcN, */
	unsigned int device_flags; /* and IOSQE_FIXED_FILE */
	int fd;			   /* itself, the device's */
	bool user_copy;	    /* the driver copies no bytes of its own accord, */
	bool registers;	    /* but registers them: the tag's index */
	unsigned int tags;  /* of all queues */
	unsigned int depth; /* tags of one */
	unsigned int alive; /* tags not yet gone; I/O thread */
	int error;	    /* ends the I/O thread; I/O thread */
	uint64_t wakeups;   /* where the eventfd is read to */
	char *buffers;
	size_t buffers_length;
	struct requests all;
	struct request *requests;    /* [tags] */
	struct io_uring_sqe nowhere; /* see get_sqe() */
};

#endif /* QUEUE_INSIDE_H */
