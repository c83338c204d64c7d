// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The requests of an I/O thread, in two steps: the thread and its queue are
 * ready before the image is open, and all that depends on the image comes
 * then.
 */
#include <errno.h>
#include <sys/mman.h>
#include "plugin/server/request-inside.h"

int requests_create(struct requests *all, struct queue *queue,
		    struct shared *shared, unsigned int thread, uint32_t max_io)
{
	int ret = finished_create(&all->finished);

	if (ret < 0)
		return ret;
	all->queue = queue;
	all->shared = shared;
	all->thread = thread;
	all->health = shared->health;
	all->max_io = max_io;
	take_parked(all);
	shared->of[thread] = all;
	return 0;
}

int requests_open(struct requests *all)
{
	struct shared *shared = all->shared;
	uint32_t cluster_size = qcow_cluster_size(shared->image);
	void *zeros;

	/* Never written to, so all of it is the kernel's one page of zeros. */
	zeros = mmap(NULL, cluster_size, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS,
		     -1, 0);
	if (zeros == MAP_FAILED)
		return -errno;
	all->zeros = zeros;
	all->image = shared->image;
	all->size = qcow_size(all->image);
	all->alignment = qcow_alignment(all->image);
	all->cluster_bits = __builtin_ctz(cluster_size);
	all->read_only = qcow_read_only(all->image);
	all->may_copy = 2 * cluster_size <= all->max_io;
	if (all->may_copy)
		copies_open(&all->copies, cluster_size, shared->workers);
	limits_init(&all->limits, shared->options);
	counters_init(&all->counters, shared->stats, all->thread);
	return 0;
}

void requests_destroy(struct requests *all)
{
	finished_destroy(all->finished);
	copies_close(&all->copies);
	if (all->zeros)
		munmap(all->zeros, (size_t)1 << all->cluster_bits);
}
