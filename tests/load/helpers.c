// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Discards and zeroing for the load program.  These calls block, so threads
 * make them and report through a pipe.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <pthread.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "tests/load/load.h"

#define HELPERS 4u

static int disk, helper_pipe[2];
static bool is_device;
static const struct ledger *ledger;
static struct op *waiting;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t wake = PTHREAD_COND_INITIALIZER;

static int zero_range(const struct op *op, uint64_t range[2])
{
	int mode = FALLOC_FL_KEEP_SIZE;

	if (is_device && !op->unmap)
		return ioctl(disk, BLKZEROOUT, range) ? -errno : 0;
	mode |= op->unmap ? FALLOC_FL_PUNCH_HOLE : FALLOC_FL_ZERO_RANGE;
	return fallocate(disk, mode, (off_t)range[0], (off_t)range[1]) ?
		       -errno :
		       0;
}

static int blocking_call(const struct op *op)
{
	uint64_t range[2] = { ledger_offset(ledger, op->first), op->length };

	if (op->kind == ZEROES)
		return zero_range(op, range);
	if (is_device)
		return ioctl(disk, BLKDISCARD, range) ? -errno : 0;
	return fallocate(disk, FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE,
			 (off_t)range[0], (off_t)range[1]) ?
		       -errno :
		       0;
}

static void *helper(void *unused)
{
	struct op *op;

	(void)unused;
	for (;;) {
		pthread_mutex_lock(&lock);
		while (!waiting)
			pthread_cond_wait(&wake, &lock);
		op = waiting;
		waiting = op->next;
		pthread_mutex_unlock(&lock);
		op->result = blocking_call(op);
		if (write(helper_pipe[1], &op, sizeof(op)) != sizeof(op))
			die(errno, "pipe");
	}
	return NULL;
}

int helpers_start(int fd, bool device, const struct ledger *where)
{
	pthread_t thread;
	unsigned int i;

	disk = fd;
	is_device = device;
	ledger = where;
	if (pipe2(helper_pipe, O_CLOEXEC) < 0)
		die(errno, "pipe2");
	for (i = 0; i < HELPERS; i++)
		if (pthread_create(&thread, NULL, helper, NULL))
			die(0, "cannot start a thread");
	return helper_pipe[0];
}

void helpers_give(struct op *op)
{
	pthread_mutex_lock(&lock);
	op->next = waiting;
	waiting = op;
	pthread_cond_signal(&wake);
	pthread_mutex_unlock(&lock);
}
