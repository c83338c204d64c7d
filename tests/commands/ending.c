// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The queues of a server that ends in good order are destroyed when the kernel
 * has closed the files of their rings, and not earlier: the host unmounts the
 * file system of the image next.
 *
 * The kernel closes them late only now and then.  So a second descriptor of the
 * pipe that tells of it plays a file that is still open.
 */
#include <liburing.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>
#include "plugin/common/disk-options.h"
#include "plugin/server/health.h"
#include "plugin/server/queue.h"
#include "plugin/server/queues.h"
#include "tests/lib/helpers.h"

#define SKIPPED 77
#define DEPTH	4
#define BUFFER	65536
#define LATE	200000 /* us; it is long for a function that does not wait */

static struct queues queues;
static struct health health;
static struct stats stats;
static struct qcow_image *image;
static atomic_bool closed;

static void *close_late(void *opaque)
{
	const int *end = opaque;

	usleep(LATE);
	atomic_store(&closed, true);
	close(*end);
	return NULL;
}

static void open_image(void)
{
	const struct qcow_options options = {
		.read_only = true,
		.cache = QCOW_CACHE_WRITEBACK,
	};
	char *path = scratch_path("image.qcow2");
	struct qcow_error error;

	must_run("qemu-img create -q -f qcow2 %s 1M", path);
	if (qcow_open(path, &options, &image, &error))
		die("%s", error.text);
	free(path);
}

static void create(const struct disk_options *options)
{
	const struct ublksrv_ctrl_dev_info info = {
		.nr_hw_queues = options->queues,
		.queue_depth = options->depth,
		.max_io_buf_bytes = BUFFER,
	};

	if (queues_create(&queues, &info, &health, &stats, options))
		die("no queues");
}

static void make_queues(int *kept)
{
	static struct disk_options options = DISK_OPTIONS_DEFAULT;

	options.queues = 1;
	options.depth = DEPTH;
	if (queues_rings(&queues, &options, 1))
		die("no ring");
	create(&options);
	*kept = dup(queues.shared.ends[1]);
	if (*kept < 0 || queues_open(&queues, image))
		die("the queues get no files");
}

/* The end of the pipe is the ring's alone. */
static void look_at_ring(void)
{
	struct pollfd end;
	int kept;

	make_queues(&kept);
	close(kept);
	end = (struct pollfd){ .fd = queues.shared.ends[0] };
	if (poll(&end, 1, 0))
		die("the files of the ring include no end of the pipe");
	queues_destroy(&queues);
}

static void destroy_late(void)
{
	pthread_t closer;
	int kept;

	make_queues(&kept);
	if (pthread_create(&closer, NULL, close_late, &kept))
		die("no thread");
	queues_destroy(&queues);
	if (!atomic_load(&closed))
		die("destroyed while a file of the ring is open");
	pthread_join(closer, NULL);
}

int main(void)
{
	struct io_uring ring;

	if (queue_ring(DEPTH, &ring))
		return SKIPPED;
	io_uring_queue_exit(&ring);
	open_image();
	look_at_ring();
	destroy_late();
	return qcow_close(image);
}
