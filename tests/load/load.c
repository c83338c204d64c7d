// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * load: writes, reads, discards and zeroes a disk through io_uring.  At any
 * time it knows the bytes that each block must hold.
 *
 * Every write carries, in every sector, the sector's number and how often the
 * sector has been written (pattern.h).  The ledger (ledger.h) records the
 * acknowledged writes.  Two requests to one block are never under way together,
 * so the content of the block is always known exactly.  Reads check it at once,
 * and --verify checks the whole disk at the end.  Nothing is ever flushed
 * unless --fsync-every or --dsync-every asks for it: an acknowledged write has
 * to be there anyway.
 *
 * The longest gap is the longest time in which requests were under way and none
 * ended.  A guest would call it a stall.  SIGUSR1 prints and restarts it.
 * SIGTERM ends the load; a verification may follow.
 *
 * Discard and zeroing block the caller, so helper threads issue them and tell
 * the ring through a pipe.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <liburing.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "tests/load/load-inside.h"

struct ledger ledger;
int disk;
bool is_device;
static bool verifying;
struct io_uring ring;
struct op *free_ops;
unsigned char *busy; /* per block */
uint64_t position;   /* sequential */
static unsigned int inflight;
static uint64_t issued, blocks_checked;
static double last_progress;
static FILE *latencies;
static volatile sig_atomic_t stop, report;
int helper_pipe;
static struct op *helper_done; /* the ring reads the pipe into this */

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static struct io_uring_sqe *get_sqe(void *data)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);

	if (!sqe)
		die(0, "the ring is full");
	io_uring_sqe_set_data(sqe, data);
	return sqe;
}

/* io_uring_prep_*() clears the user data: set it afterwards. */
void listen_to_helpers(void)
{
	struct io_uring_sqe *sqe = get_sqe(NULL);

	io_uring_prep_read(sqe, helper_pipe, &helper_done, sizeof(helper_done),
			   0);
	io_uring_sqe_set_data(sqe, &helper_done);
}

/* --- issuing -------------------------------------------------------------- */

static void mark(const struct op *op, bool on)
{
	memset(busy + op->first, on, op->count);
}

static void record_issue(struct op *op)
{
	uint64_t i, sector;
	uint32_t generation;
	char *p = op->buffer;

	if (op->kind == READ)
		return;
	for (i = op->first; i < op->first + op->count; i++) {
		generation = ledger_issue(&ledger, i, op->kind != WRITE);
		if (op->kind != WRITE)
			continue;
		sector = ledger_offset(&ledger, i) / SECTOR;
		pattern_fill(p, ledger_length(&ledger, i), sector, generation,
			     options.geometry.seed);
		p += options.geometry.block;
	}
}

/* The kernel makes it a write with FUA, where the device knows that. */
static bool durable(void)
{
	static uint64_t writes;

	return options.dsync_every && ++writes % options.dsync_every == 0;
}

static void submit(struct op *op)
{
	struct io_uring_sqe *sqe;
	uint64_t offset = ledger_offset(&ledger, op->first);

	if (op->kind == DISCARD || op->kind == ZEROES) {
		helpers_give(op);
		return;
	}
	sqe = get_sqe(op);
	if (op->kind == FSYNC)
		io_uring_prep_fsync(sqe, disk, IORING_FSYNC_DATASYNC);
	else if (op->kind == WRITE)
		io_uring_prep_write(sqe, disk, op->buffer,
				    (unsigned int)op->length, offset);
	else
		io_uring_prep_read(sqe, disk, op->buffer,
				   (unsigned int)op->length, offset);
	io_uring_sqe_set_data(sqe, op);
	if (op->kind == WRITE && durable())
		sqe->rw_flags = RWF_DSYNC;
}

static bool fsync_due(void)
{
	static uint64_t last;

	if (!options.fsync_every || counts[WRITE] - last < options.fsync_every)
		return false;
	last = counts[WRITE];
	return true;
}

static bool prepare(struct op *op)
{
	if (fsync_due()) {
		op->kind = FSYNC;
		op->first = op->count = 0;
		return true;
	}
	op->kind = random_kind();
	op->unmap = random_below(2);
	if (!pick_blocks(op))
		return false;
	op->length = run_length(op);
	mark(op, true);
	record_issue(op);
	return true;
}

static bool issue(void)
{
	struct op *op = free_ops;

	if (!prepare(op))
		return false;
	free_ops = op->next;
	if (!inflight++)
		last_progress = now();
	issued++;
	op->begun = now();
	submit(op);
	return true;
}

/* --- completing ----------------------------------------------------------- */

static void note_gap(double time)
{
	report_gap(inflight && !verifying ? time - last_progress : 0);
}

static void record_success(const struct op *op)
{
	uint64_t i;

	report_works();
	counts[op->kind] += !verifying;
	for (i = 0; i < op->count; i++) {
		if (op->kind != READ) {
			ledger_acknowledge(&ledger, op->first + i);
			continue;
		}
		ledger_check(&ledger, op->first + i,
			     op->buffer + i * options.geometry.block);
		blocks_checked++;
	}
}

/* Writes the time, in seconds since 1970, and the latency in ms. */
static void note_latency(const struct op *op)
{
	struct timespec ts;

	if (!latencies || verifying)
		return;
	clock_gettime(CLOCK_REALTIME, &ts);
	fprintf(latencies, "%lld.%06ld %.3f\n", (long long)ts.tv_sec,
		ts.tv_nsec / 1000, (now() - op->begun) * 1000);
}

static void complete(struct op *op, int result)
{
	bool moves = op->kind == READ || op->kind == WRITE;

	note_gap(now());
	note_latency(op);
	last_progress = now();
	inflight--;
	if (result < 0)
		report_error(op, -result);
	else if (moves && (uint64_t)result != op->length)
		report_error(op, EIO);
	else
		record_success(op);
	mark(op, false);
	op->next = free_ops;
	free_ops = op;
}

static void complete_all(void)
{
	struct io_uring_cqe *cqe;
	void *data;
	int result;

	while (io_uring_peek_cqe(&ring, &cqe) == 0) {
		data = io_uring_cqe_get_data(cqe);
		result = cqe->res;
		io_uring_cqe_seen(&ring, cqe);
		if (data != &helper_done) {
			complete(data, result);
			continue;
		}
		if (result != sizeof(helper_done))
			die(result < 0 ? -result : 0, "pipe");
		complete(helper_done, helper_done->result);
		listen_to_helpers();
	}
}

/* --- the load ------------------------------------------------------------- */

static bool enough(double start)
{
	return stop || (options.seconds && now() - start > options.seconds) ||
	       (options.ops && issued >= options.ops);
}

static bool may_issue(double start)
{
	return free_ops && inflight < options.depth && !enough(start) &&
	       (!options.rate ||
		(double)issued < (now() - start) * options.rate);
}

static void wait_for_some(void)
{
	struct __kernel_timespec timeout = { .tv_nsec = options.rate ?
								1000000 :
								50000000 };
	struct io_uring_cqe *cqe;
	int ret;

	ret = io_uring_submit_and_wait_timeout(&ring, &cqe, 1, &timeout, NULL);
	if (ret < 0 && ret != -ETIME && ret != -EINTR && ret != -EAGAIN)
		die(-ret, "io_uring");
}

static double run_load(void)
{
	double start = now();

	while (inflight || !enough(start)) {
		while (may_issue(start) && issue())
			;
		wait_for_some();
		complete_all();
		if (report) {
			report = 0;
			note_gap(now());
			report_print_gap();
		}
	}
	return now() - start;
}

/* --- verification --------------------------------------------------------- */

static bool wanted(uint64_t block)
{
	return !options.touched_only || ledger_touched(&ledger, block);
}

/* Picks the next blocks to verify, which lie one after the other. */
static bool pick_to_verify(struct op *op)
{
	uint64_t most = VERIFY_BYTES / options.geometry.block;

	if (options.geometry.stride != options.geometry.block || !most)
		most = 1;
	while (position < ledger.blocks && !wanted(position))
		position++;
	op->first = position;
	while (position < ledger.blocks && wanted(position) &&
	       position - op->first < most)
		position++;
	op->count = (uint32_t)(position - op->first);
	return op->count;
}

static bool issue_to_verify(void)
{
	struct op *op = free_ops;

	if (!op || !pick_to_verify(op))
		return false;
	free_ops = op->next;
	op->kind = READ;
	op->length = run_length(op);
	inflight++;
	submit(op);
	return true;
}

/* Returns the number of blocks that were read. */
static uint64_t verify(void)
{
	uint64_t before = blocks_checked;

	position = 0;
	verifying = true;
	while (issue_to_verify() || inflight) {
		while (issue_to_verify())
			;
		wait_for_some();
		complete_all();
	}
	return blocks_checked - before;
}

/* --- the program ---------------------------------------------------------- */

static void on_signal(int number)
{
	if (number == SIGUSR1)
		report = 1;
	else
		stop = 1;
}

static void catch_signals(void)
{
	struct sigaction action = { .sa_handler = on_signal };

	sigaction(SIGUSR1, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGINT, &action, NULL);
}

int main(int argc, char **argv)
{
	double seconds = 0;
	uint64_t checked = 0;

	parse_options(argc, argv);
	set_up();
	catch_signals();
	if (options.latencies) {
		latencies = fopen(options.latencies, "we");
		if (!latencies)
			die(errno, "%s", options.latencies);
	}
	if (!options.verify_only)
		seconds = run_load();
	if (options.verify || options.verify_only)
		checked = verify();
	report_print(seconds, checked);
	return ledger.wrong || (errors && !options.tolerate);
}
