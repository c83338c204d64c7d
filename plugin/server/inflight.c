// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A mapped request in flight: its extents are moved all at once, one transfer
 * each, between the request's buffer and the files of the image.
 *
 * The request's state is a counter and a result: how many transfers are
 * missing, and the first error.  A failed transfer does not end the others,
 * so the buffer is left alone only when the counter is zero; then, once,
 * request_moved() is called.
 *
 * Short transfers are continued.  A read that reaches the end of its file
 * finds zeros there: no byte comes, or a count that no further direct read
 * could continue from.  The zeros around fresh data are written together with
 * it from a mapping of nothing but zeros.
 */
#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include "plugin/server/inflight.h"
#include "plugin/server/queue.h"
#include "plugin/server/request.h"

static void put_transfer(struct request *request)
{
	assert(request->left > 0);
	if (--request->left == 0)
		request_moved(request);
}

static void read_extent(struct request *request, unsigned int nr)
{
	const struct qcow_extent *extent = &request->io.extents[nr];
	const struct transfer *transfer = &request->transfers[nr];
	char *buffer = request->buffer;

	queue_read(request, nr, extent->file,
		   buffer + transfer->position + transfer->done,
		   extent->length - transfer->done,
		   extent->offset + transfer->done);
}

/* Describes what is still to be written; returns the number of parts. */
static unsigned int fill_vector(struct request *request, unsigned int nr)
{
	const struct qcow_extent *extent = &request->io.extents[nr];
	struct transfer *transfer = &request->transfers[nr];
	char *buffer = request->buffer;
	const struct iovec parts[] = {
		{ request->all->zeros, extent->zero_before },
		{ buffer + transfer->position, extent->length },
		{ request->all->zeros, extent->zero_after },
	};
	size_t done = transfer->done, skip;
	unsigned int part, count = 0;

	for (part = 0; part < 3; part++) {
		skip = done < parts[part].iov_len ? done : parts[part].iov_len;
		done -= skip;
		if (skip == parts[part].iov_len)
			continue;
		transfer->vector[count].iov_base =
			(char *)parts[part].iov_base + skip;
		transfer->vector[count].iov_len = parts[part].iov_len - skip;
		count++;
	}
	return count;
}

static void write_extent(struct request *request, unsigned int nr)
{
	const struct qcow_extent *extent = &request->io.extents[nr];
	struct transfer *transfer = &request->transfers[nr];
	uint64_t offset = extent->offset - extent->zero_before + transfer->done;
	unsigned int count = fill_vector(request, nr);

	if (count == 1)
		queue_write(request, nr, extent->file,
			    transfer->vector[0].iov_base,
			    transfer->vector[0].iov_len, offset);
	else
		queue_writev(request, nr, extent->file, transfer->vector, count,
			     offset);
}

static void start_transfer(struct request *request, unsigned int nr)
{
	if (request->op == UBLK_IO_OP_READ)
		read_extent(request, nr);
	else
		write_extent(request, nr);
}

void inflight_start(struct request *request)
{
	const struct qcow_extent *extent = request->io.extents;
	struct transfer *transfer = request->transfers;
	char *buffer = request->buffer;
	uint32_t position = 0;
	unsigned int nr;

	assert(!request->left && request->io.nr_extents <= QCOW_IO_EXTENTS);
	assert(request->length <= request->all->max_io);
	request->result = 0;
	request->left = 1; /* ours, until all are started */
	for (nr = 0; nr < request->io.nr_extents; nr++, extent++, transfer++) {
		assert(extent->length <= request->length - position);
		transfer->position = position;
		transfer->done = 0;
		if (extent->kind == QCOW_EXTENT_ZERO) {
			memset(buffer + position, 0, extent->length);
		} else {
			request->left++;
			start_transfer(request, nr);
		}
		position += extent->length;
	}
	assert(position == request->length);
	put_transfer(request);
}

static void transfer_failed(struct request *request, int error)
{
	if (!request->result)
		request->result = error;
	put_transfer(request);
}

static bool at_end_of_file(const struct request *request,
			   const struct transfer *transfer, int res)
{
	return res == 0 || transfer->done % request->all->alignment;
}

static void read_done(struct request *request, unsigned int nr, int res)
{
	const struct qcow_extent *extent = &request->io.extents[nr];
	struct transfer *transfer = &request->transfers[nr];
	char *buffer = request->buffer;

	assert((uint32_t)res <= extent->length - transfer->done);
	transfer->done += res;
	if (transfer->done < extent->length &&
	    !at_end_of_file(request, transfer, res)) {
		read_extent(request, nr);
		return;
	}
	memset(buffer + transfer->position + transfer->done, 0,
	       extent->length - transfer->done);
	put_transfer(request);
}

static void write_done(struct request *request, unsigned int nr, int res)
{
	const struct qcow_extent *extent = &request->io.extents[nr];
	struct transfer *transfer = &request->transfers[nr];
	const uint32_t whole = extent->zero_before + extent->length +
			       extent->zero_after;

	assert((uint32_t)res <= whole - transfer->done);
	transfer->done += res;
	if (transfer->done == whole)
		put_transfer(request);
	else if (res)
		write_extent(request, nr);
	else
		transfer_failed(request, -EIO); /* it would be so for ever */
}

void inflight_transferred(struct request *request, unsigned int nr, int res)
{
	assert(request->left > 0 && nr < request->io.nr_extents);
	if (res == -EINTR || res == -EAGAIN)
		start_transfer(request, nr);
	else if (res < 0)
		transfer_failed(request, res);
	else if (request->op == UBLK_IO_OP_READ)
		read_done(request, nr, res);
	else
		write_done(request, nr, res);
}
