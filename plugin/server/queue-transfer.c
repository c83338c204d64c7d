// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * One transfer between memory and a file of the image, or a sync of one, for a
 * request: queued in the ring, and named so that its end finds the request
 * again.
 */
#include <assert.h>
#include <liburing.h>
#include "plugin/server/queue-inside.h"
#include "plugin/server/queue.h"
#include "plugin/server/request.h"

static_assert(QCOW_IO_EXTENTS <= 256, "user_data has 8 bits for the extent");
static_assert(QCOW_FILES_MAX <= 256, "... or for the file");

static void name(struct io_uring_sqe *sqe, struct request *request,
		 enum completion completion, unsigned int extent)
{
	sqe->flags = IOSQE_FIXED_FILE;
	sqe->user_data = queue_pack(completion, extent,
				    queue_index(request->all->queue, request));
	counters_transfer(&request->all->counters, 1);
}

static void address(struct io_uring_sqe *sqe, struct request *request,
		    unsigned int extent)
{
	name(sqe, request, COMPLETION_TRANSFER, extent);
}

/* A call that will wait anyway need not be tried without waiting first. */
static void address_write(struct io_uring_sqe *sqe, struct request *request,
			  unsigned int extent)
{
	address(sqe, request, extent);
	if (request->io.extents[extent].grows)
		sqe->flags |= IOSQE_ASYNC;
}

/* Is the memory in the registered part of the tag's small buffer? */
static bool is_pinned(const struct request *request, const void *memory,
		      uint32_t length)
{
	const struct queue *queue = request->all->queue;
	size_t start = (uintptr_t)memory -
		       (uintptr_t)buffers_small(&queue->buffers,
						queue_index(queue, request));
	size_t pinned = queue->pinned;

	return start < pinned && length <= pinned - start;
}

void queue_read(struct request *request, unsigned int extent, unsigned int file,
		void *buffer, uint32_t length, uint64_t offset)
{
	struct queue *queue = request->all->queue;
	struct io_uring_sqe *sqe = queue_sqe(queue);

	io_uring_prep_read(sqe, FILE_IMAGE + file, buffer, length, offset);
	if (is_pinned(request, buffer, length)) {
		sqe->opcode = IORING_OP_READ_FIXED;
		sqe->buf_index = queue_index(queue, request);
	}
	address(sqe, request, extent);
}

void queue_write(struct request *request, unsigned int extent,
		 unsigned int file, const void *buffer, uint32_t length,
		 uint64_t offset)
{
	struct queue *queue = request->all->queue;
	struct io_uring_sqe *sqe = queue_sqe(queue);

	io_uring_prep_write(sqe, FILE_IMAGE + file, buffer, length, offset);
	if (is_pinned(request, buffer, length)) {
		sqe->opcode = IORING_OP_WRITE_FIXED;
		sqe->buf_index = queue_index(queue, request);
	}
	address_write(sqe, request, extent);
}

void queue_writev(struct request *request, unsigned int extent,
		  unsigned int file, const struct iovec *vector,
		  unsigned int count, uint64_t offset)
{
	struct io_uring_sqe *sqe = queue_sqe(request->all->queue);

	io_uring_prep_writev(sqe, FILE_IMAGE + file, vector, count, offset);
	address_write(sqe, request, extent);
}

void queue_write_gathered(struct request *first, unsigned int parts,
			  uint64_t offset, bool grows)
{
	struct io_uring_sqe *sqe = queue_sqe(first->all->queue);

	io_uring_prep_writev(sqe, FILE_IMAGE + first->io.extents[0].file,
			     first->parts, parts, offset);
	name(sqe, first, COMPLETION_GATHERED, 0);
	if (grows)
		sqe->flags |= IOSQE_ASYNC;
}

void queue_sync(struct request *request, unsigned int file)
{
	struct io_uring_sqe *sqe = queue_sqe(request->all->queue);

	io_uring_prep_fsync(sqe, FILE_IMAGE + file, IORING_FSYNC_DATASYNC);
	address(sqe, request, file);
}

void queue_read_fixed(struct request *request, unsigned int extent,
		      unsigned int file, uint32_t position, uint32_t length,
		      uint64_t offset)
{
	struct queue *queue = request->all->queue;
	struct io_uring_sqe *sqe = queue_sqe(queue);

	io_uring_prep_read_fixed(sqe, FILE_IMAGE + file,
				 (void *)(uintptr_t)position, length, offset,
				 queue_index(queue, request));
	address(sqe, request, extent);
}

void queue_write_fixed(struct request *request, unsigned int extent,
		       unsigned int file, uint32_t position, uint32_t length,
		       uint64_t offset)
{
	struct queue *queue = request->all->queue;
	struct io_uring_sqe *sqe = queue_sqe(queue);

	io_uring_prep_write_fixed(sqe, FILE_IMAGE + file,
				  (void *)(uintptr_t)position, length, offset,
				  queue_index(queue, request));
	address_write(sqe, request, extent);
}
