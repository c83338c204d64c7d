/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Some hardware queues of a device, or all: the I/O thread that fetches their
 * requests, moves the data and commits them.
 */
#ifndef QUEUE_H
#define QUEUE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>
#include "plugin/server/device.h"
#include "qcow/qcow.h"

struct culprit;
struct io_uring;
struct queue;
struct request;
struct shared;

/* Tells the driver how the request went, in full bytes or -errno, and
   fetches the tag's next. */
void queue_commit(struct request *request, int32_t result);

/* The driver gets the queued commands now, and not only with the next wait for
   the ring. */
void queue_submit(struct queue *queue);

/* The I/O thread, first: the ring is its own from now on.  0 or -errno. */
int queue_enable(struct queue *queue);

/* The I/O thread: maps the descriptors of its hardware queues, and fetches all
   their tags.  After an error the process must end. */
int queue_fetch(struct queue *queue, struct device *device);

/* The I/O thread, then: serves, and returns 0 when the device was stopped, or
   as queue_leave() says.  After an error the process must end. */
int queue_serve(struct queue *queue);

/* Any thread: the queue begins no more requests, and queue_serve() returns 0
   when those under way have ended.  The driver learns nothing of that: after
   the death of the process it gives the other requests to the next server, as
   always. */
void queue_leave(struct queue *queue);

/* Was that why queue_serve() returned? */
bool queue_has_left(const struct queue *queue);

/* The I/O thread of a queue that has left, while the device is being stopped:
   returns 0 when the driver has all tags. */
int queue_drain(struct queue *queue);

/* queue-bytes.c */

/* For requests whose bytes the driver keeps, on any thread: copy length of
   them, from position on, to some memory, or from the same place of
   request->buffer.  0 or -errno.  Where the driver itself copies, they are in
   request->buffer, and there is nothing to give. */
int queue_take_bytes(struct request *request, void *to, uint32_t position,
		     uint32_t length);
int queue_give_bytes(struct request *request, uint32_t position,
		     uint32_t length);

/* queue-transfer.c */

/* For requests, on the I/O thread: start one transfer between memory and a
   file of the image; inflight_transferred() tells how it went. */
void queue_read(struct request *request, unsigned int extent, unsigned int file,
		void *buffer, uint32_t length, uint64_t offset);
void queue_write(struct request *request, unsigned int extent,
		 unsigned int file, const void *buffer, uint32_t length,
		 uint64_t offset);
void queue_writev(struct request *request, unsigned int extent,
		  unsigned int file, const struct iovec *vector,
		  unsigned int count, uint64_t offset);
/* The same for the first parts of the request, which are of several of them;
   inflight_gathered() tells. */
void queue_write_gathered(struct request *first, unsigned int parts,
			  uint64_t offset, bool grows);
/* The same for an fdatasync() of a file, which is the number of its extent,
   too. */
void queue_sync(struct request *request, unsigned int file);
/* The same with the bytes of the request itself, from position on; it is
   registered. */
void queue_read_fixed(struct request *request, unsigned int extent,
		      unsigned int file, uint32_t position, uint32_t length,
		      uint64_t offset);
void queue_write_fixed(struct request *request, unsigned int extent,
		       unsigned int file, uint32_t position, uint32_t length,
		       uint64_t offset);

/* queue-create.c */

/* Makes a ring for so many tags, which then takes the operations of queues and
   no others.  With the right to make one, before the image is opened.  A child
   of the process gets the descriptor of the ring, and none of its memory. */
int queue_ring(unsigned int tags, struct io_uring *ring);

/* Of one queue, by its I/O thread. */
struct queue_part {
	unsigned int thread; /* its number */
	unsigned int first;  /* hardware queue, */
	unsigned int count;  /* and how many */
};

/* All that needs no image: memory and buffers.  The ring becomes the queue's.
   -E2BIG: more tags than one ring can hold. */
int queue_create(const struct ublksrv_ctrl_dev_info *info,
		 const struct queue_part *part, struct shared *shared,
		 const struct io_uring *ring, struct queue **queue);

/* The image is open: its files become the ring's.  The rest of all that can
   fail before the device is touched. */
int queue_open(struct queue *queue);

void queue_destroy(struct queue *queue);

/* So many servers in a row have died of that request; before queue_fetch(). */
void queue_expect(struct queue *queue, const struct culprit *culprit,
		  unsigned int deaths);

/* Any thread: the driver has issued again all that was not answered. */
void queue_lives(struct queue *queue);

/* Makes /dev/ublkcN a file of the ring. */
int queue_attach(struct queue *queue, const struct device *device);

#endif /* QUEUE_H */
