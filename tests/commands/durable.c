// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A write that must be durable at once (FUA) is answered after a flush, on each
 * way that a write may take, and fails if the flush does (P2).  While it is
 * flushed, the request has the name that the driver gave it: a server that dies
 * then must blame the request that comes again.
 *
 * The engine is the real one.  The ring makes each system call at once.
 */
#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "plugin/common/disk-options.h"
#include "plugin/server/health.h"
#include "plugin/server/inflight.h"
#include "plugin/server/queue.h"
#include "plugin/server/request.h"
#include "plugin/server/worker.h"
#include "tests/lib/helpers.h"

#define CLUSTER	 65536u
#define SECTOR	 512
#define PATIENCE 60000 /* ms */
#define MAX_IO	 (512u << 10)
#define LONG	 (32u << 20) /* bytes, more than the I/O thread clears */

static const struct disk_options options = DISK_OPTIONS_DEFAULT;
static struct stats stats;
static struct health health;
static struct requests all;
static struct shared shared = {
	.threads = 1,
	.options = &options,
	.health = &health,
	.stats = &stats,
};
static struct ublksrv_io_desc desc;
static uint8_t bytes[MAX_IO];
static struct request request = {
	.all = &all,
	.desc = &desc,
	.buffer = bytes,
	.work.run = requests_work,
};

static int write_fate, sync_fate; /* 0 or -errno */

static struct answer {
	bool given;
	int result;
	unsigned int syncs;   /* before it */
	uint64_t checkpoints; /* likewise */
} answer;
static unsigned int syncs;

static uint64_t checkpoints(void)
{
	struct qcow_stats now;

	qcow_get_stats(shared.image, &now);
	return now.checkpoints;
}

static int fd_of(unsigned int file)
{
	int fds[QCOW_FILES_MAX];

	if (qcow_fds(shared.image, fds, QCOW_FILES_MAX) <= file)
		die("there is no file %u", file);
	return fds[file];
}

void queue_write(struct request *written, unsigned int extent,
		 unsigned int file, const void *buffer, uint32_t length,
		 uint64_t offset)
{
	if (!write_fate && pwrite(fd_of(file), buffer, length, (off_t)offset) !=
				   (ssize_t)length)
		die("a write fails");
	inflight_transferred(written, extent,
			     write_fate ? write_fate : (int)length);
}

void queue_writev(struct request *written, unsigned int extent,
		  unsigned int file, const struct iovec *vector,
		  unsigned int count, uint64_t offset)
{
	ssize_t length = pwritev(fd_of(file), vector, (int)count,
				 (off_t)offset);

	inflight_transferred(written, extent, (int)length);
}

void queue_sync(struct request *synced, unsigned int file)
{
	const uint8_t op = ublksrv_get_op(synced->desc);

	if (quarantine_name(synced).op != op)
		die("operation %u has another name while it is flushed", op);
	syncs++;
	inflight_transferred(synced, file,
			     sync_fate ? sync_fate : fdatasync(fd_of(file)));
}

int queue_take_bytes(struct request *taken, void *to, uint32_t position,
		     uint32_t length)
{
	(void)taken;
	memcpy(to, bytes + position, length);
	return 0;
}

void queue_commit(struct request *committed, int32_t result)
{
	(void)committed;
	answer = (struct answer){ true, result, syncs, checkpoints() };
}

/* Nothing that a write needs. */

void queue_submit(struct queue *queue)
{
	(void)queue;
}

void queue_read(struct request *read, unsigned int extent, unsigned int file,
		void *buffer, uint32_t length, uint64_t offset)
{
	(void)read, (void)extent, (void)file, (void)buffer, (void)length;
	(void)offset;
	abort();
}

void queue_write_gathered(struct request *first, unsigned int parts,
			  uint64_t offset, bool grows)
{
	(void)first, (void)parts, (void)offset, (void)grows;
	abort();
}

void queue_read_fixed(struct request *read, unsigned int extent,
		      unsigned int file, uint32_t position, uint32_t length,
		      uint64_t offset)
{
	(void)position;
	queue_read(read, extent, file, NULL, length, offset);
}

void queue_write_fixed(struct request *written, unsigned int extent,
		       unsigned int file, uint32_t position, uint32_t length,
		       uint64_t offset)
{
	queue_read_fixed(written, extent, file, position, length, offset);
}

int queue_give_bytes(struct request *given, uint32_t position, uint32_t length)
{
	(void)given, (void)position, (void)length;
	abort();
}

/* ---- one request ---- */

static void await_worker(void)
{
	struct pollfd fd = {
		.fd = finished_fd(all.finished),
		.events = POLLIN,
	};
	uint64_t wakeups;

	if (poll(&fd, 1, PATIENCE) != 1)
		die("no worker ends");
	if (read(fd.fd, &wakeups, sizeof(wakeups)) < 0)
		die("the eventfd cannot be read");
	if (requests_reap(&all))
		die("a worker's request fails");
	requests_retry(&all);
}

static void ask(uint32_t op, uint64_t offset, uint32_t length)
{
	desc.op_flags = op;
	desc.start_sector = offset / SECTOR;
	desc.nr_sectors = length / SECTOR;
	answer.given = false;
	request_start(&request);
	while (!answer.given)
		await_worker();
}

/* A checkpoint syncs, too, before it ends. */
static bool is_durable(uint32_t op, uint64_t offset, uint32_t length)
{
	unsigned int syncs_before = syncs;
	uint64_t before = checkpoints();

	ask(op, offset, length);
	if (answer.result < 0)
		die("operation %x at %lu: %s", op, (unsigned long)offset,
		    strerror(-answer.result));
	return answer.syncs > syncs_before || answer.checkpoints > before;
}

static void must_be_durable(uint32_t op, uint64_t offset, uint32_t length)
{
	if (!is_durable(op | UBLK_IO_F_FUA, offset, length))
		die("operation %x at %lu is not flushed", op,
		    (unsigned long)offset);
}

/* ---- tests ---- */

static void test_ways(void)
{
	must_be_durable(UBLK_IO_OP_WRITE, 0, 4096);    /* a new cluster */
	must_be_durable(UBLK_IO_OP_WRITE, 4096, 4096); /* in place */
	must_be_durable(UBLK_IO_OP_WRITE, CLUSTER, 4 * CLUSTER);
	must_be_durable(UBLK_IO_OP_WRITE_ZEROES, 0, CLUSTER);
	must_be_durable(UBLK_IO_OP_WRITE_ZEROES, CLUSTER, 4096);
	must_be_durable(UBLK_IO_OP_WRITE_ZEROES, 0, LONG);
}

/* Or else each write would be slow. */
static void test_no_flush(void)
{
	unsigned int before = syncs;

	ask(UBLK_IO_OP_WRITE | UBLK_IO_F_FUA, 0, 4096);
	before = syncs;
	ask(UBLK_IO_OP_WRITE, 0, 4096);
	if (answer.result != 4096 || syncs != before)
		die("a write in place without FUA: %d, %u syncs", answer.result,
		    syncs - before);
}

static void test_failed_write(void)
{
	unsigned int before = syncs;

	write_fate = -EIO;
	ask(UBLK_IO_OP_WRITE | UBLK_IO_F_FUA, 0, 4096);
	write_fate = 0;
	if (answer.result != -EIO || syncs != before)
		die("a failed write: %d, %u syncs", answer.result,
		    syncs - before);
}

static void test_failed_sync(void)
{
	sync_fate = -EIO;
	ask(UBLK_IO_OP_WRITE | UBLK_IO_F_FUA, 0, 4096);
	if (answer.result != -EIO)
		die("a write that was not flushed: %d", answer.result);
}

static void open_image(void)
{
	const struct qcow_options image_options = { .journal_dir = scratch() };
	char *path = scratch_path("image.qcow2");
	struct qcow_error error;

	must_run("qemu-img create -q -f qcow2 %s 64M", path);
	if (qcow_open(path, &image_options, &shared.image, &error))
		die("%s", error.text);
	free(path);
}

int main(void)
{
	open_image();
	if (workers_create(1, &shared.workers) || health_create(&health) ||
	    requests_create(&all, NULL, &shared, 0, MAX_IO) ||
	    requests_open(&all))
		die("cannot begin");
	test_ways();
	test_no_flush();
	test_failed_write();
	test_failed_sync();
	workers_destroy(shared.workers);
	requests_destroy(&all);
	qcow_close(shared.image);
	return 0;
}
