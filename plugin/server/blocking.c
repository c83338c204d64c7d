// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The work of a worker: a request as calls of the engine that may block.
 *
 * If a read, or a write in place, lacked a table and nothing else, the worker
 * loads that and leaves the rest to the I/O thread, which need not touch the
 * bytes.
 *
 * A discard may be of a gigabyte, and takes its time.  It is done in parts,
 * each of which is counted: so the supervisor can tell a long request from a
 * stuck one.  The parts end at multiples of PART, as clusters do.
 */
#include <stdbool.h>
#include "plugin/server/blocking.h"
#include "plugin/server/queue.h"
#include "plugin/server/request.h"

#define PART (32ull << 20) /* bytes */

static int read_by_engine(struct request *request)
{
	int ret = qcow_read(request->all->image, request->buffer,
			    request->offset, request->length);

	if (ret < 0)
		return ret;
	return queue_give_bytes(request, 0, request->length);
}

static int write_by_engine(struct request *request)
{
	int ret = queue_take_bytes(request, request->buffer, 0,
				   request->length);

	if (ret < 0)
		return ret;
	return qcow_write(request->all->image, request->buffer, request->offset,
			  request->length);
}

static int clear_part(const struct request *request, uint64_t offset,
		      uint64_t length)
{
	struct qcow_image *image = request->all->image;
	bool unmap = !(request->desc->op_flags & UBLK_IO_F_NOUNMAP);

	if (request->op == UBLK_IO_OP_DISCARD)
		return qcow_discard(image, offset, length);
	return qcow_write_zeroes(image, offset, length, unmap);
}

static int clear_range(struct request *request)
{
	const uint64_t end = request->offset + request->length;
	uint64_t offset = request->offset, stop;
	int ret = 0;

	for (; !ret && offset < end; offset = stop) {
		stop = (offset / PART + 1) * PART;
		if (stop > end)
			stop = end;
		ret = clear_part(request, offset, stop - offset);
		counters_part(&request->all->counters);
	}
	return ret;
}

static bool load(const struct request *request)
{
	return qcow_load(request->all->image, request->op == UBLK_IO_OP_WRITE,
			 request->offset, request->length);
}

int blocking_call(struct request *request)
{
	if (request->loads && load(request))
		return BLOCKING_LOADED;
	if (request->flushes)
		return qcow_flush(request->all->image);
	switch (request->op) {
	case UBLK_IO_OP_READ:
		return read_by_engine(request);
	case UBLK_IO_OP_WRITE:
		return write_by_engine(request);
	default: /* UBLK_IO_OP_DISCARD, UBLK_IO_OP_WRITE_ZEROES */
		return clear_range(request);
	}
}
