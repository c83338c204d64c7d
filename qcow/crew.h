/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Threads that help to move many pieces of a file. */
#ifndef QCOW_CREW_H
#define QCOW_CREW_H

#include <pthread.h>
#include <stdbool.h>
#include "qcow/file.h"

#define CREW 7u

/* Bytes in memory, and where they are in the file. */
struct piece {
	uint8_t *bytes;
	uint64_t offset;
	size_t length;
};

/* All zero: nobody helps. */
struct crew {
	pthread_t threads[CREW];
	unsigned int count; /* of the threads */
	pthread_mutex_t lock;
	pthread_cond_t work, done;
	bool stopping;
	/* The present move, of one caller; others have no help. */
	bool taken;
	struct file *file;
	const struct piece *pieces;
	unsigned int next, end; /* pieces that nobody has taken */
	unsigned int busy;	/* threads at work */
	bool writes;
	int ret;
};

/* With fewer threads, or none, it is slower. */
void crew_start(struct crew *crew);
void crew_stop(struct crew *crew);
/* As file_read() and file_write(), for all pieces, in any order.  After an
   error some may not have been moved. */
int crew_read(struct crew *crew, struct file *file, const struct piece *pieces,
	      unsigned int count);
int crew_write(struct crew *crew, struct file *file, const struct piece *pieces,
	       unsigned int count);
/* Adds bytes behind those in the list, to the last piece if they follow it in
   file and memory. */
void piece_add(struct piece *pieces, unsigned int *count, uint8_t *bytes,
	       uint64_t offset, size_t length);

#endif /* QCOW_CREW_H */
