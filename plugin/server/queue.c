// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The hardware queues of one I/O thread, and its ring: see queues.c.
 *
 * Each tag has a buffer (buffers.c) and a struct request, and is always in one
 * of two hands: the driver's (a FETCH or COMMIT_AND_FETCH command is in the
 * ring) or ours (from the end of that command until queue_commit()).  When the
 * device is stopped, each command ends with UBLK_IO_RES_ABORT and its tag is
 * gone for good; queue_serve() ends with the last.
 *
 * The bytes of a request are in its tag's buffer where the driver copies; the
 * first few of that are registered with the ring, once.  Where the driver
 * registers them, they are the ring's buffer of the tag's index from the end of
 * a FETCH or COMMIT to the next COMMIT.  The tag's own buffer is for functions
 * that must see bytes: see queue_take_bytes().
 *
 * The ring's files:  0 /dev/ublkcN,  1 the workers' eventfd,  2 the end of a
 * pipe (queues.c),  3... the files of the image.  That /dev/ublkcN is among
 * them is the first of the two fences (P4): the kernel lets go of it only when
 * every transfer of all rings has ended, and refuses START_USER_RECOVERY
 * before, so that no write of a dead server lands after its successor's.
 *
 * The caller of queue_create() makes the ring disabled; the I/O thread enables
 * it and so becomes its owner: only the thread that fetched a tag may commit
 * it.  That thread never blocks but in waiting for the ring,
 * allocates nothing and says nothing.
 */
#include <assert.h>
#include <errno.h>
#include <liburing.h>
#include <sys/prctl.h>
#include "plugin/common/queue-name.h"
#include "plugin/server/dying.h"
#include "plugin/server/fault.h"
#include "plugin/server/inflight.h"
#include "plugin/server/owned.h"
#include "plugin/server/queue-inside.h"
#include "plugin/server/queue.h"
#include "plugin/server/request.h"

/* The assertions stop a wrong tag or buffer before the driver or the disk has
   it; to die harms nothing (P1). */
#ifdef NDEBUG
#error "assertions stay in every build"
#endif

/*
 * Never NULL.  A full ring is submitted; if that fails there is nothing left
 * to do but to die (P1 holds), and until queue_serve() sees that, the caller
 * fills an entry that goes nowhere.
 */
struct io_uring_sqe *queue_sqe(struct queue *queue)
{
	struct io_uring_sqe *sqe;
	int ret;

	while (!(sqe = io_uring_get_sqe(&queue->ring))) {
		ret = io_uring_submit(&queue->ring);
		if (ret < 0 && ret != -EINTR && ret != -EAGAIN &&
		    ret != -EBUSY) {
			queue->error = ret;
			return &queue->nowhere;
		}
	}
	return sqe;
}

static void send_command(struct request *request, uint32_t op, int32_t result)
{
	struct queue *queue = request->all->queue;
	struct io_uring_sqe *sqe = queue_sqe(queue);
	struct ublksrv_io_cmd *cmd = (void *)sqe->cmd;

	assert(queue_index(queue, request) < queue->tags);
	assert(!request->with_driver); /* one FETCH or COMMIT at a time */
	request->with_driver = true;

	io_uring_prep_rw(IORING_OP_URING_CMD, sqe, queue->device_file, NULL, 0,
			 0);
	sqe->flags = queue->device_flags;
	sqe->cmd_op = op;
	sqe->user_data = queue_pack(COMPLETION_TAG, 0,
				    queue_index(queue, request));
	cmd->q_id = request->queue_id;
	cmd->tag = request->tag;
	cmd->result = result;
	cmd->addr = queue->user_copy ? 0 : (uintptr_t)request->buffer;
	/* A failed registration must not be the guest's error (P5). */
	if (queue->registers)
		sqe->addr = queue_index(queue, request) |
			    UBLK_AUTO_BUF_REG_FALLBACK << 16;
}

static bool is_large(const struct request *request)
{
	return (request->op == UBLK_IO_OP_READ ||
		request->op == UBLK_IO_OP_WRITE) &&
	       request->length >= BUFFERS_LARGE;
}

static void choose_buffer(struct request *request, int32_t result)
{
	struct queue *queue = request->all->queue;

	request->buffer = buffers_next(
		&queue->buffers, queue_index(queue, request), request->buffer,
		request->op == UBLK_IO_OP_READ && result > 0 ? result : 0,
		is_large(request));
}

void queue_commit(struct request *request, int32_t result)
{
	counters_end(&request->all->counters, request, result);
	choose_buffer(request, result);
	send_command(request, UBLK_U_IO_COMMIT_AND_FETCH_REQ, result);
}

void queue_submit(struct queue *queue)
{
	int ret = io_uring_submit(&queue->ring);

	/* Otherwise the next wait submits it. */
	if (ret < 0 && ret != -EINTR && ret != -EAGAIN && ret != -EBUSY)
		queue->error = ret;
}

static void await_workers(struct queue *queue)
{
	struct io_uring_sqe *sqe = queue_sqe(queue);

	io_uring_prep_read(sqe, FILE_WORKERS, &queue->wakeups,
			   sizeof(queue->wakeups), 0);
	sqe->flags = IOSQE_FIXED_FILE;
	sqe->user_data = queue_pack(COMPLETION_WORKERS, 0, 0);
}

static void tag_returned(struct request *request, int res)
{
	struct queue *queue = request->all->queue;

	assert(request->with_driver);
	request->with_driver = false;
	request->registered = queue->registers && !(request->desc->op_flags &
						    UBLK_IO_F_NEED_REG_BUF);
	if (res == UBLK_IO_RES_OK) {
		counters_begin(&queue->all.counters, request);
		owned_by(request->desc->start_sector,
			 request->desc->nr_sectors);
		if (!queue->leaving)
			request_start(request);
		return;
	}
	assert(queue->alive > 0);
	queue->alive--;
	if (res != UBLK_IO_RES_ABORT)
		queue->error = res;
}

/* Or another I/O thread woke us: see requests_retry(). */
static void workers_finished(struct queue *queue)
{
	int ret = requests_reap(&queue->all);

	if (ret)
		queue->error = ret;
	await_workers(queue);
}

static void dispatch(struct queue *queue, uint64_t user_data, int res)
{
	const uint32_t index = user_data;
	struct request *request = &queue->requests[index];
	unsigned int extent = user_data >> 48 & 0xff;

	assert(index < queue->tags);
	dying_of(NULL);
	switch ((enum completion)(user_data >> 56)) {
	case COMPLETION_TAG:
		tag_returned(request, res);
		break;
	case COMPLETION_TRANSFER:
		counters_transfer(&queue->all.counters, -1);
		dying_of(request);
		inflight_transferred(request, extent, res);
		break;
	case COMPLETION_GATHERED:
		counters_transfer(&queue->all.counters, -1);
		inflight_gathered(request, res);
		break;
	case COMPLETION_WORKERS:
		workers_finished(queue);
		break;
	default:
		assert(!"a completion of ours");
	}
}

static void reap(struct queue *queue)
{
	struct io_uring_cqe *cqe;
	unsigned int head, count = 0;

	counters_tick(&queue->all.counters);
	io_uring_for_each_cqe(&queue->ring, head, cqe)
	{
		dispatch(queue, cqe->user_data, cqe->res);
		count++;
	}
	io_uring_cq_advance(&queue->ring, count);
	dying_of(NULL);
	gather_start(&queue->all);
	/* A thread that waits for the limits is at work, too. */
	if (count || requests_wait(&queue->all))
		counters_step(&queue->all.counters);
	if (queue->leaving)
		return;
	requests_admit(&queue->all);
	requests_retry(&queue->all);
	dying_of(NULL);
}

/* All tags in one system call: see queues.c. */
static int fetch_all(struct queue *queue)
{
	unsigned int index;
	int ret;

	for (index = 0; index < queue->tags; index++)
		send_command(&queue->requests[index], UBLK_U_IO_FETCH_REQ, 0);
	while (io_uring_sq_ready(&queue->ring)) {
		ret = io_uring_submit(&queue->ring);
		if (ret < 0)
			return ret;
	}
	queue->alive = queue->tags;
	return 0;
}

/* Until something ends, or a request may begin that waits for the limits. */
static int submit_and_wait(struct queue *queue)
{
	const uint64_t wait = requests_wait(&queue->all);
	struct __kernel_timespec time = { .tv_nsec = wait };
	struct io_uring_cqe *cqe;
	int ret;

	if (!wait)
		return io_uring_submit_and_wait(&queue->ring, 1);
	/* By a call for both liburing would wait twice as long. */
	ret = io_uring_submit(&queue->ring);
	if (ret < 0)
		return ret;
	return io_uring_wait_cqe_timeout(&queue->ring, &cqe, &time);
}

static int step(struct queue *queue)
{
	int ret = submit_and_wait(queue);

	if (ret < 0 && ret != -EINTR && ret != -EAGAIN && ret != -EBUSY &&
	    ret != -ETIME)
		return ret;
	reap(queue);
	return queue->error;
}

int queue_serve(struct queue *queue)
{
	int ret = queue->error;

	await_workers(queue);
	while (!ret && queue->alive && !queue_has_left(queue))
		ret = step(queue);
	/* The driver hears of the requests that have ended, so the next server
	   does not do them once more. */
	if (queue_has_left(queue))
		io_uring_submit(&queue->ring);
	return ret;
}

int queue_drain(struct queue *queue)
{
	int ret = queue->error;

	while (!ret && queue->alive)
		ret = step(queue);
	return ret;
}

int queue_enable(struct queue *queue)
{
	char name[QUEUE_NAME_LENGTH];
	int ret;

	queue_name(queue->all.thread, name);
	prctl(PR_SET_NAME, name);
	/* io_uring_enable_rings(), which liburing 2.3 forgot to export */
	ret = io_uring_register(queue->ring.ring_fd,
				IORING_REGISTER_ENABLE_RINGS, NULL, 0);
	if (ret < 0)
		return ret;
	io_uring_register_ring_fd(&queue->ring); /* a matter of speed only */
	return 0;
}

static void find_descs(struct queue *queue, const struct device *device)
{
	struct request *request;
	unsigned int index;

	for (index = 0; index < queue->tags; index++) {
		request = &queue->requests[index];
		assert(request->queue_id < device->queues);
		request->desc = &device->descs[request->queue_id][request->tag];
	}
}

/*
 * From the mapping on, a driver of 6.12 lets no other process map, and only
 * START_USER_RECOVERY ends that, which it refuses before a queue was fetched.
 * So nothing is between the two, but in tests.  A server that dies there leaves
 * a device that nobody can map.  A process that fetches its tags and dies makes
 * the device one that can be recovered.
 */
int queue_fetch(struct queue *queue, struct device *device)
{
	int mapped = device_map(device, queue->first, queue->count);
	int ret;

	if (mapped && mapped != -EINVAL)
		return mapped;
	if (!mapped)
		find_descs(queue, device);
	fault_of_mapping();
	ret = fetch_all(queue);
	return ret < 0 ? ret : mapped;
}

void queue_leave(struct queue *queue)
{
	queue->leaving = true;
	finished_wake(queue->all.finished);
}

bool queue_has_left(const struct queue *queue)
{
	return queue->leaving && queue->alive && !queue->error &&
	       !queue->all.under_way;
}
