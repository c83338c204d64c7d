// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Requests: the only place that knows both the driver and the engine.
 *
 * A request takes one of three ways:
 *
 *   mapped    reads and writes whose place the engine knows at once: one
 *             transfer per extent on the queue's ring, then qcow_finish();
 *             of a copy-on-write, one to read the bytes around before that;
 *             and a FLUSH that needs no checkpoint: one sync per file there
 *   worker    everything that may block: long DISCARDs and WRITE_ZEROES, and
 *             whatever else the engine answers with QCOW_MUST_BLOCK
 *   parked    the engine says -EBUSY: tried again whenever something ended
 *             (request-parked.c)
 *
 * A request sets out once no culprit is in its way (quarantine.c) and the
 * disk's limits allow it (limits.c).  All end in one function, request_end(),
 * which commits them.  Data is acknowledged after qcow_finish(), which makes it
 * survive us (P1).  A request that only another process can do is not ended:
 * this server dies, and the next one gets the request again.
 *
 * Only full counts are committed: a driver of 7.x takes any non-negative
 * result of a WRITE as complete success.
 */
#include <assert.h>
#include <errno.h>
#include <stddef.h>
#include "plugin/common/stats.h"
#include "plugin/server/blocking.h"
#include "plugin/server/dying.h"
#include "plugin/server/fault.h"
#include "plugin/server/health.h"
#include "plugin/server/inflight.h"
#include "plugin/server/queue.h"
#include "plugin/server/request-inside.h"
#include "qcow/trace.h"

/* The way of the worker */

static struct request *request_of(struct work *work)
{
	return (void *)((char *)work - offsetof(struct request, work));
}

/* On a worker's thread. */
void requests_work(struct work *work)
{
	struct request *request = request_of(work);

	dying_of(request);
	fault_of_worker(request->op, request->offset / QCOW_SECTOR);
	request->result = blocking_call(request);
	counters_look(&request->all->counters, request->all->image);
	dying_of(NULL);
}

static void submit(struct request *request, bool loads)
{
	TRACE(request_worker, (uintptr_t)request);
	request->all->under_way++;
	request->loads = loads;
	workers_submit(request->all->shared->workers, request->all->finished,
		       &request->work);
}

void give_to_worker(struct request *request)
{
	submit(request, false);
}

/* Once for each request, for the engine may forget a table again. */
static void give_unmapped(struct request *request)
{
	submit(request, !request->loaded);
	request->loaded = true;
}

/* The end */

static bool moves_data(const struct request *request)
{
	return request->op == UBLK_IO_OP_READ ||
	       request->op == UBLK_IO_OP_WRITE;
}

static void request_end(struct request *request, int result)
{
	assert(result <= 0); /* never a short count */
	health_note(request->all->health, request->op != UBLK_IO_OP_READ,
		    result);
	if (result)
		result = trouble_answer(result);
	else if (moves_data(request))
		result = request->length;
	TRACE(request_end, (uintptr_t)request, result);
	quarantine_end(&request->all->quarantine, request);
	queue_commit(request, result);
}

static void flush(struct request *request)
{
	unsigned int files;
	int ret = qcow_map_flush(request->all->image, &files);

	request->flushes = true;
	if (ret == QCOW_MUST_BLOCK) {
		give_to_worker(request);
	} else if (ret || !files) {
		request_end(request, ret);
	} else {
		request->all->under_way++;
		inflight_sync(request, files);
	}
}

/* P2: a write with FUA has to be durable before it is answered. */
static bool needs_flush(const struct request *request)
{
	return request->desc->op_flags & UBLK_IO_F_FUA && !request->flushes &&
	       (request->op == UBLK_IO_OP_WRITE ||
		request->op == UBLK_IO_OP_WRITE_ZEROES);
}

/* As request_end(), for a request that others may have waited for. */
static void release(struct request *request, int result)
{
	assert(request->all->under_way > 0);
	request->all->under_way--;
	request->all->retry = true;
	if (request->all->shared->threads > 1)
		wake_elsewhere(request->all);
	if (!result && needs_flush(request)) {
		flush(request);
		return;
	}
	request_end(request, result);
}

static void worker_ended(struct request *request)
{
	if (request->result == BLOCKING_LOADED) {
		request->all->under_way--;
		request->all->retry = true;
		request_try(request);
	} else {
		release(request, request->result);
	}
}

int requests_reap(struct requests *all)
{
	struct work *work, *next;
	struct request *request;

	for (work = finished_reap(all->finished); work; work = next) {
		next = work->next;
		request = request_of(work);
		dying_of(request);
		/* Only the next server can end this request. */
		if (request->result == -EOWNERDEAD)
			return -EOWNERDEAD;
		worker_ended(request);
	}
	return 0;
}

static int finish(struct request *request)
{
	if (request->flushes)
		return request->result;
	return qcow_finish(request->all->image, &request->io, request->result);
}

void request_moved(struct request *request)
{
	int result = finish(request);

	/* The engine may find space, which can take a while. */
	if (result == QCOW_NO_SPACE_YET) {
		request->all->under_way--;
		request->all->retry = true;
		give_to_worker(request);
		return;
	}
	release(request, result);
}

/* The beginning */

static void start_mapped(struct request *request)
{
	TRACE(request_mapped, (uintptr_t)request, request->io.nr_extents);
	request->all->under_way++;
	inflight_start(request);
}

static int map(struct request *request)
{
	struct qcow_image *image = request->all->image;
	int ret;

	if (request->op == UBLK_IO_OP_READ)
		return qcow_map_read(image, &request->io, request->offset,
				     request->length);
	ret = qcow_map_write(image, &request->io, request->offset,
			     request->length);
	if (ret != QCOW_MUST_BLOCK || !request->all->may_copy)
		return ret;
	return qcow_map_copy(image, &request->io, request->offset,
			     request->length);
}

void request_try(struct request *request)
{
	int ret;

	dying_of(request);
	ret = must_queue(request) ? -EBUSY : map(request);
	if (!ret)
		start_mapped(request);
	else if (ret == -EBUSY)
		park(request);
	else if (ret == QCOW_MUST_BLOCK)
		give_unmapped(request);
	else
		request_end(request, ret);
}

static int clear_at_once(const struct request *request)
{
	struct qcow_image *image = request->all->image;

	if (request->op == UBLK_IO_OP_DISCARD)
		return qcow_map_discard(image, request->offset,
					request->length);
	return qcow_map_zeroes(image, request->offset, request->length,
			       !(request->desc->op_flags & UBLK_IO_F_NOUNMAP));
}

static void clear(struct request *request)
{
	int ret = clear_at_once(request);

	if (ret == QCOW_MUST_BLOCK) {
		give_to_worker(request);
		return;
	}
	request->all->under_way++;
	release(request, ret);
}

static void decode(struct request *request)
{
	const struct ublksrv_io_desc *desc = request->desc;

	request->op = ublksrv_get_op(desc);
	request->offset = desc->start_sector * QCOW_SECTOR;
	request->length = (uint64_t)desc->nr_sectors * QCOW_SECTOR;
}

/* The driver keeps to the parameters of the device; an image that is smaller
   than its device, or read-only behind a writable one, is worth a check. */
static int check(const struct request *request)
{
	const struct requests *all = request->all;

	switch (request->op) {
	case UBLK_IO_OP_FLUSH:
		return 0;
	case UBLK_IO_OP_READ:
		break;
	case UBLK_IO_OP_WRITE:
	case UBLK_IO_OP_DISCARD:
	case UBLK_IO_OP_WRITE_ZEROES:
		if (all->read_only)
			return -EROFS;
		break;
	default:
		return -EOPNOTSUPP;
	}
	if (request->offset > all->size || !request->length ||
	    request->length > all->size - request->offset)
		return -EIO;
	if (moves_data(request) && request->length > all->max_io)
		return -EINVAL;
	return 0;
}

static void begin(struct request *request)
{
	dying_of(request);
	fault_of_queue(request->op, request->offset / QCOW_SECTOR);
	if (moves_data(request))
		request_try(request);
	else if (request->op == UBLK_IO_OP_FLUSH)
		flush(request);
	else
		clear(request);
}

static void begin_or_wait(struct request *request)
{
	struct requests *all = request->all;

	if (!limits_any(&all->limits) ||
	    limits_admit(&all->limits, request, all->counters.now))
		begin(request);
}

void requests_admit(struct requests *all)
{
	const uint64_t now = all->counters.now;
	struct request *request;

	while ((request = quarantine_next(&all->quarantine, now)))
		begin_or_wait(request);
	while ((request = limits_next(&all->limits, now)))
		begin(request);
}

uint64_t requests_wait(const struct requests *all)
{
	const uint64_t limits = limits_wait(&all->limits, all->counters.now);

	/* The limits are looked at in time for the quarantine, too. */
	return limits ? limits : quarantine_wait(&all->quarantine);
}

/* The request is answered before another one may end us. */
static void fail(struct request *request, int error)
{
	queue_commit(request, error);
	queue_submit(request->all->queue);
}

/* Servers enough have died of it.  The supervisor looks at the figure. */
static void fail_poisoned(struct request *request, int error)
{
	fail(request, error);
	stats_add(&request->all->counters.stats->poisoned, 1);
}

void request_start(struct request *request)
{
	struct requests *all = request->all;
	int ret;

	decode(request);
	request->tries = 0;
	request->loaded = false;
	request->flushes = false;
	TRACE(request_begin, (uintptr_t)request, request->op, request->offset,
	      request->length);
	ret = check(request);
	if (ret) {
		fail(request, ret);
		return;
	}
	ret = quarantine_admit(&all->quarantine, request, all->counters.now);
	if (!ret)
		begin_or_wait(request);
	else if (ret != -EBUSY)
		fail_poisoned(request, ret);
}
