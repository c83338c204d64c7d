// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A queue's memory, ring and files: all that is made before the first FETCH.
 *
 * The ring comes first, as long as the server has the right to make one
 * (kernel.io_uring_disabled); its files come when the image is open.  Its
 * operations are restricted then, and it is disabled until the I/O thread owns
 * it.  The order of the ring's files is that of the enum in queue-inside.h;
 * /dev/ublkcN, the first, comes last, with queue_attach().
 */
#include <errno.h>
#include <liburing.h>
#include <stdlib.h>
#include "plugin/server/fault.h"
#include "plugin/server/queue-inside.h"
#include "plugin/server/queue.h"
#include "plugin/server/restrict.h"

/* Of each tag's buffer, in bytes: as much as most requests have; it is memory
   that is never given back. */
#define PINNED 4096u

/* The best that this kernel has; the first is for 6.1 and later. */
static int create_ring(unsigned int tags, struct io_uring *ring)
{
	static const unsigned int flags[] = {
		IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN |
			IORING_SETUP_COOP_TASKRUN,
		IORING_SETUP_COOP_TASKRUN,
		0,
	};
	unsigned int try;
	int ret = -EINVAL;

	for (try = 0; ret == -EINVAL && try < 3; try++)
		ret = io_uring_queue_init(2 * tags, ring,
					  flags[try] | IORING_SETUP_R_DISABLED |
						  IORING_SETUP_SUBMIT_ALL |
						  IORING_SETUP_CLAMP);
	return ret;
}

int queue_ring(unsigned int tags, struct io_uring *ring)
{
	int ret = create_ring(tags, ring);

	if (ret < 0)
		return ret;
	ret = restrict_ring(ring, !fault("no-fence-ring"));
	/* A child has the descriptor at most, and can let go of the ring. */
	if (ret >= 0)
		ret = io_uring_ring_dontfork(ring);
	if (ret < 0)
		io_uring_queue_exit(ring);
	return ret;
}

static int register_files(struct queue *queue)
{
	int files[FILE_IMAGE + QCOW_FILES_MAX];
	unsigned int count;

	count = qcow_fds(queue->all.image, &files[FILE_IMAGE], QCOW_FILES_MAX);
	if (count > QCOW_FILES_MAX)
		return -EMFILE;
	files[FILE_DEVICE] = -1; /* comes with queue_attach() */
	files[FILE_WORKERS] = finished_fd(queue->all.finished);
	files[FILE_END] = queue->all.shared->ends[1];
	return io_uring_register_files(&queue->ring, files, FILE_IMAGE + count);
}

/* The beginning of each tag's buffer: the kernel need not look up its page for
   every small transfer.  A matter of speed only. */
static void pin_buffers(struct queue *queue)
{
	struct iovec *parts = calloc(queue->tags, sizeof(*parts));
	unsigned int index;

	for (index = 0; parts && index < queue->tags; index++)
		parts[index] = (struct iovec){
			.iov_base = queue->requests[index].buffer,
			.iov_len = PINNED,
		};
	if (parts &&
	    !io_uring_register_buffers(&queue->ring, parts, queue->tags))
		queue->pinned = PINNED;
	free(parts);
}

/* Where the driver registers buffers they are for it to fill. */
static int register_buffers(struct queue *queue)
{
	if (queue->registers)
		return io_uring_register_buffers_sparse(&queue->ring,
							queue->tags);
	pin_buffers(queue);
	/* Only where the driver copies of its own accord. */
	if (!queue->user_copy)
		buffers_use_huge_pages(&queue->buffers,
				       queue->all.shared->workers);
	return 0;
}

static void init_requests(struct queue *queue)
{
	struct request *request;
	unsigned int index;

	for (index = 0; index < queue->tags; index++) {
		request = &queue->requests[index];
		request->all = &queue->all;
		request->queue_id = queue->first + index / queue->depth;
		request->tag = index % queue->depth;
		request->buffer = buffers_small(&queue->buffers, index);
		request->work.run = requests_work;
	}
}

static void describe(struct queue *queue,
		     const struct ublksrv_ctrl_dev_info *info,
		     const struct queue_part *part, const struct io_uring *ring)
{
	queue->ring = *ring;
	queue->first = part->first;
	queue->count = part->count;
	queue->user_copy = info->flags & UBLK_F_USER_COPY;
	queue->registers = info->flags & UBLK_F_AUTO_BUF_REG;
	queue->depth = info->queue_depth;
	queue->tags = queue->depth * part->count;
}

int queue_create(const struct ublksrv_ctrl_dev_info *info,
		 const struct queue_part *part, struct shared *shared,
		 const struct io_uring *ring, struct queue **result)
{
	struct queue *queue = calloc(1, sizeof(*queue));
	int ret = -ENOMEM;

	if (!queue)
		return -ENOMEM;
	describe(queue, info, part, ring);
	queue->requests = calloc(queue->tags, sizeof(*queue->requests));
	if (!queue->requests)
		goto free_queue;
	ret = buffers_create(&queue->buffers, queue->tags,
			     info->max_io_buf_bytes);
	if (ret < 0)
		goto free_requests;
	init_requests(queue);
	ret = requests_create(&queue->all, queue, shared, part->thread,
			      info->max_io_buf_bytes);
	if (ret < 0)
		goto free_buffers;
	ret = queue->tags > queue->ring.sq.ring_entries ?
		      -E2BIG :
		      register_buffers(queue);
	if (ret < 0)
		goto end_requests;
	*result = queue;
	return 0;

end_requests:
	requests_destroy(&queue->all);
free_buffers:
	buffers_destroy(&queue->buffers);
free_requests:
	free(queue->requests);
free_queue:
	free(queue);
	return ret;
}

int queue_open(struct queue *queue)
{
	int ret = requests_open(&queue->all);

	return ret ? ret : register_files(queue);
}

void queue_destroy(struct queue *queue)
{
	io_uring_queue_exit(&queue->ring);
	requests_destroy(&queue->all);
	buffers_destroy(&queue->buffers);
	free(queue->requests);
	free(queue);
}

void queue_expect(struct queue *queue, const struct culprit *culprit,
		  unsigned int deaths)
{
	quarantine_init(&queue->all.quarantine, culprit, deaths);
}

void queue_lives(struct queue *queue)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	quarantine_begin(&queue->all.quarantine,
			 now.tv_sec * 1000000000ull + now.tv_nsec);
}

int queue_attach(struct queue *queue, const struct device *device)
{
	int ret;

	queue->fd = device->fd;
	queue->device_file = device->fd;
	if (fault("no-fence-ring"))
		return 0;
	queue->device_file = FILE_DEVICE; /* P4, the ring's fence */
	queue->device_flags = IOSQE_FIXED_FILE;
	ret = io_uring_register_files_update(&queue->ring, FILE_DEVICE,
					     &device->fd, 1);
	return ret < 0 ? ret : 0;
}
