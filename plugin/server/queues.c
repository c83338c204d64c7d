// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * All queues of a device, and how many I/O threads they have.
 *
 * Where the driver allows it, each queue has a thread and a ring of its own, up
 * to STATS_THREADS; more queues are dealt out evenly.  Threads share the image,
 * the workers, and little else: a plain request writes to no cache line of
 * another thread's (qcow/unlocked.c).  A request that must wait for one of
 * another thread is in request-parked.c.
 *
 * One thread has all queues:
 *
 *	older drivers	One of 6.12 is lost for good if the server dies after
 *			some of its tags were fetched.  With one ring all
 *			FETCHes go in by a single system call, which a SIGKILL
 *			does not interrupt.  Drivers from 7.1 on withstand that
 *			before the device is started.
 *	a recovery	Drivers of 7.0 to 7.3 at least: if a server dies when
 *			some queues are fetched wholly and others are not, the
 *			next request of the former makes the kernel go wrong,
 *			with all its guests.  (ublk_start_cancel() does nothing
 *			while ub->canceling is set, and that is not cleared with
 *			the queue's own flag.)  Here, too, one call fetches all.
 *			But a ring has a limit: where all tags are too many,
 *			the threads are as many as before.
 *	a culprit	It is a recovery.  The quarantine keeps other requests
 *			back (quarantine.c), and one thread can do so.
 *	limits		There is one bucket, and nobody is in a hurry.
 *
 * /dev/ublkcN is a file of each ring (P4), so the driver lets no successor come
 * before the transfers of all rings have ended.  All threads end with the
 * process, or together: see server-threads.c.
 *
 * The kernel closes the files of a ring some time after the ring, and after the
 * process.  An admin who removes a disk unmounts the file system of its image
 * next.  So a server that ends in good order waits until the files are closed:
 * they include the end of a pipe that nobody else has.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <unistd.h>
#include "plugin/common/disk-options.h"
#include "plugin/server/queue.h"
#include "plugin/server/queues.h"

#define PATIENCE 5000 /* ms, for the kernel's end of a ring */

/* UBLK_F_SHMEM_ZC is of no use to us, but only 7.1 and later have it. */
#define THREADS_NEED (UBLK_F_PER_IO_DAEMON | UBLK_F_SHMEM_ZC)

/* So many buffers can be registered with a ring. */
#define RING_TAGS 16384u

unsigned int queues_threads(const struct disk_options *options,
			    uint64_t features, bool recovers)
{
	if ((features & THREADS_NEED) != THREADS_NEED || options->iops ||
	    options->bandwidth)
		return 1;
	if (recovers && options->queues * options->depth <= RING_TAGS)
		return 1;
	return stats_threads(options->queues);
}

/* The share of one thread. */
static struct queue_part part_of(const struct queues *queues, unsigned int all,
				 unsigned int thread)
{
	const unsigned int first = thread * all / queues->count;

	return (struct queue_part){
		.thread = thread,
		.first = first,
		.count = (thread + 1) * all / queues->count - first,
	};
}

static void close_rings(struct queues *queues, unsigned int from)
{
	for (; from < queues->count; from++)
		io_uring_queue_exit(&queues->rings[from]);
}

int queues_rings(struct queues *queues, const struct disk_options *options,
		 unsigned int count)
{
	unsigned int i;
	int ret = 0;

	close_rings(queues, 0);
	queues->count = count;
	for (i = 0; i < count; i++) {
		struct queue_part part = part_of(queues, options->queues, i);

		ret = queue_ring(part.count * options->depth,
				 &queues->rings[i]);
		if (ret < 0)
			break;
	}
	if (ret < 0) {
		queues->count = i;
		close_rings(queues, 0);
		queues->count = 0;
	}
	return ret;
}

int queues_ring(const struct queues *queues)
{
	return queues->rings[0].ring_fd;
}

/* The first so many. */
static void destroy(struct queues *queues, unsigned int count)
{
	workers_destroy(queues->shared.workers);
	while (count)
		queue_destroy(queues->queue[--count]);
}

/* The rings have the one end; the kernel tells at the other. */
static void keep_one_end(struct queues *queues)
{
	close(queues->shared.ends[1]);
}

static void wait_for_close(const struct queues *queues)
{
	struct pollfd end = { .fd = queues->shared.ends[0] };

	/* To go on harms nobody's data. */
	while (poll(&end, 1, PATIENCE) < 0 && errno == EINTR)
		;
}

static int create_all(struct queues *queues,
		      const struct ublksrv_ctrl_dev_info *info)
{
	unsigned int i;
	int ret;

	for (i = 0; i < queues->count; i++) {
		struct queue_part part = part_of(queues, info->nr_hw_queues, i);

		ret = queue_create(info, &part, &queues->shared,
				   &queues->rings[i], &queues->queue[i]);
		if (ret < 0) {
			destroy(queues, i);
			close_rings(queues, i);
			return ret;
		}
	}
	return 0;
}

int queues_create(struct queues *queues,
		  const struct ublksrv_ctrl_dev_info *info,
		  struct health *health, struct stats *stats,
		  const struct disk_options *options)
{
	int ret;

	queues->shared = (struct shared){
		.health = health,
		.stats = stats,
		.options = options,
		.threads = queues->count,
	};
	if (pipe2(queues->shared.ends, O_CLOEXEC) < 0)
		return -errno;
	ret = workers_create(options->workers, &queues->shared.workers);
	return ret < 0 ? ret : create_all(queues, info);
}

int queues_open(struct queues *queues, struct qcow_image *image)
{
	struct shared *shared = &queues->shared;
	int ret = 0;

	shared->image = image;
	counters_begin_server(shared->stats, shared->options->queues);
	for (unsigned int i = 0; !ret && i < queues->count; i++)
		ret = queue_open(queues->queue[i]);
	keep_one_end(queues);
	return ret;
}

void queues_destroy(struct queues *queues)
{
	destroy(queues, queues->count);
	wait_for_close(queues);
	close(queues->shared.ends[0]);
}

void queues_expect(struct queues *queues, const struct culprit *culprit,
		   unsigned int deaths)
{
	for (unsigned int i = 0; i < queues->count; i++)
		queue_expect(queues->queue[i], culprit,
			     queues->count > 1 ? 0 : deaths);
}

void queues_live(const struct queues *queues)
{
	for (unsigned int i = 0; i < queues->count; i++)
		queue_lives(queues->queue[i]);
}

int queues_attach(struct queues *queues, const struct device *device)
{
	int ret = 0;

	for (unsigned int i = 0; !ret && i < queues->count; i++)
		ret = queue_attach(queues->queue[i], device);
	return ret;
}

void queues_leave(struct queues *queues)
{
	for (unsigned int i = 0; i < queues->count; i++)
		queue_leave(queues->queue[i]);
}

bool queues_busy(const struct queues *queues)
{
	for (unsigned int i = 0; i < queues->count; i++)
		if (stats_get(stats_thread(queues->shared.stats, i).in_flight))
			return true;
	return false;
}
