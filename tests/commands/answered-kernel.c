// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The kernel's side of the rings of answered: threads that take the calls of
 * all I/O threads and make them, some late, some in part, some not at all.
 */
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>
#include "plugin/server/queue.h"
#include "tests/commands/answered.h"

#define KERNELS 4
#define LATE	2000 /* us, at the most */

static struct {
	struct qcow_image *image;
	pthread_mutex_t lock;
	pthread_cond_t work;
	struct transfer_call *first, **end; /* lock */
} kernel = {
	.lock = PTHREAD_MUTEX_INITIALIZER,
	.work = PTHREAD_COND_INITIALIZER,
	.end = &kernel.first,
};

struct asker *asker_of(struct request *request)
{
	return (void *)((char *)request->all - offsetof(struct asker, all));
}

static struct transfer_call *next_call(void)
{
	struct transfer_call *call;

	pthread_mutex_lock(&kernel.lock);
	while (!kernel.first)
		pthread_cond_wait(&kernel.work, &kernel.lock);
	call = kernel.first;
	kernel.first = call->next;
	if (!kernel.first)
		kernel.end = &kernel.first;
	pthread_mutex_unlock(&kernel.lock);
	return call;
}

/* All parts, or the beginning of the first. */
static int move(const struct transfer_call *call, bool wholly)
{
	struct iovec part = call->parts[0];
	const struct iovec *parts = wholly ? call->parts : &part;
	unsigned int count = wholly ? call->count : 1;
	ssize_t ret;

	if (part.iov_len > 4096)
		part.iov_len = 4096;
	ret = call->kind == CALL_READ ?
		      preadv(call->fd, parts, (int)count, (off_t)call->offset) :
		      pwritev(call->fd, parts, (int)count, (off_t)call->offset);
	return ret < 0 ? -errno : (int)ret;
}

static int make(const struct transfer_call *call, struct random *random)
{
	static const int again[] = { -EAGAIN, -EINTR, -ECANCELED };

	if (!random_below(random, 50))
		return again[random_below(random, 3)];
	if (call->kind == CALL_SYNC)
		return fdatasync(call->fd) < 0 ? -errno : 0;
	return move(call, random_below(random, 20));
}

static void hand_back(struct transfer_call *call)
{
	static const uint64_t one = 1;
	struct asker *thread = asker_of(call->request);

	pthread_mutex_lock(&thread->lock);
	call->next = thread->ended;
	thread->ended = call;
	pthread_mutex_unlock(&thread->lock);
	if (write(thread->wakeups, &one, sizeof(one)) < 0)
		die("an eventfd cannot be written");
}

static void *make_calls(void *number)
{
	struct random random = { .state = (uintptr_t)number };

	for (;;) {
		struct transfer_call *call = next_call();

		if (!random_below(&random, 20))
			usleep(random_below(&random, LATE));
		call->result = make(call, &random);
		hand_back(call);
	}
	return NULL;
}

void kernel_start(void)
{
	pthread_t id;

	for (uintptr_t i = 0; i < KERNELS; i++)
		if (pthread_create(&id, NULL, make_calls, (void *)(i + 1)))
			die("no thread");
}

void kernel_image(struct qcow_image *image)
{
	kernel.image = image;
}

struct transfer_call *kernel_reap(struct asker *thread)
{
	struct transfer_call *ended;

	pthread_mutex_lock(&thread->lock);
	ended = thread->ended;
	thread->ended = NULL;
	pthread_mutex_unlock(&thread->lock);
	return ended;
}

/* ---- as queue-transfer.c ---- */

static void submit(const struct transfer_call *like, unsigned int file)
{
	struct transfer_call *call = malloc(sizeof(*call));
	int fds[QCOW_FILES_MAX];

	if (qcow_fds(kernel.image, fds, QCOW_FILES_MAX) <= file)
		die("there is no file %u", file);
	*call = *like;
	call->fd = fds[file];
	if (!call->parts)
		call->parts = &call->part;
	pthread_mutex_lock(&kernel.lock);
	call->next = NULL;
	*kernel.end = call;
	kernel.end = &call->next;
	pthread_mutex_unlock(&kernel.lock);
	pthread_cond_signal(&kernel.work);
}

void queue_read(struct request *request, unsigned int extent, unsigned int file,
		void *buffer, uint32_t length, uint64_t offset)
{
	submit(&(struct transfer_call){ .request = request,
					.extent = extent,
					.kind = CALL_READ,
					.part = { buffer, length },
					.count = 1,
					.offset = offset },
	       file);
}

void queue_write(struct request *request, unsigned int extent,
		 unsigned int file, const void *buffer, uint32_t length,
		 uint64_t offset)
{
	submit(&(struct transfer_call){ .request = request,
					.extent = extent,
					.kind = CALL_WRITE,
					.part = { (void *)buffer, length },
					.count = 1,
					.offset = offset },
	       file);
}

void queue_writev(struct request *request, unsigned int extent,
		  unsigned int file, const struct iovec *vector,
		  unsigned int count, uint64_t offset)
{
	submit(&(struct transfer_call){ .request = request,
					.extent = extent,
					.kind = CALL_WRITE,
					.parts = vector,
					.count = count,
					.offset = offset },
	       file);
}

void queue_write_gathered(struct request *first, unsigned int parts,
			  uint64_t offset, bool grows)
{
	(void)grows;
	submit(&(struct transfer_call){ .request = first,
					.gathered = true,
					.kind = CALL_WRITE,
					.parts = first->parts,
					.count = parts,
					.offset = offset },
	       first->io.extents[0].file);
}

void queue_sync(struct request *request, unsigned int file)
{
	submit(&(struct transfer_call){ .request = request,
					.extent = file,
					.kind = CALL_SYNC },
	       file);
}

/* The driver has copied the bytes. */
int queue_take_bytes(struct request *request, void *to, uint32_t position,
		     uint32_t length)
{
	const char *from = (char *)request->buffer + position;

	if (to != from)
		memcpy(to, from, length);
	return 0;
}

int queue_give_bytes(struct request *request, uint32_t position,
		     uint32_t length)
{
	(void)request, (void)position, (void)length;
	return 0;
}

void queue_submit(struct queue *queue)
{
	(void)queue;
}

/* No bytes are registered. */

void queue_read_fixed(struct request *request, unsigned int extent,
		      unsigned int file, uint32_t position, uint32_t length,
		      uint64_t offset)
{
	(void)request, (void)extent, (void)file, (void)position;
	(void)length, (void)offset;
	abort();
}

void queue_write_fixed(struct request *request, unsigned int extent,
		       unsigned int file, uint32_t position, uint32_t length,
		       uint64_t offset)
{
	queue_read_fixed(request, extent, file, position, length, offset);
}
