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
 * Where the request's bytes are registered with the ring, they go between
 * the guest and the files of the image without our ever seeing them.  Where
 * that fails the request's own buffer is moved, and queue_take_bytes() or
 * queue_give_bytes() copy.
 *
 * The flush of an image whose tables are written is in flight, too: a sync of
 * each file.  The kernel makes it in a worker of its own, which costs less than
 * to wake one of ours and to be woken by it.
 *
 * Copy-on-write reads first (inflight-copy.c), and then writes all bytes of the
 * cluster at once, perhaps together with its neighbours (inflight-gather.c).
 *
 * Short transfers are continued.  A read that reaches the end of its file
 * finds zeros there: no byte comes, or a count that no further direct read
 * could continue from.  The zeros around fresh data are written together with
 * it, or before and after it, from a mapping of nothing but zeros.
 */
#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include "plugin/server/inflight-inside.h"
#include "plugin/server/inflight.h"
#include "plugin/server/queue.h"
#include "plugin/server/request.h"

static void put_transfer(struct request *request)
{
	assert(request->left > 0);
	if (--request->left)
		return;
	copy_end(request);
	request_moved(request);
}

static void read_extent(struct request *request, unsigned int nr)
{
	const struct qcow_extent *extent = &request->io.extents[nr];
	const struct transfer *transfer = &request->transfers[nr];
	uint32_t position = transfer->position + transfer->done;
	uint32_t length = extent->length - transfer->done;
	uint64_t offset = extent->offset + transfer->done;
	char *buffer = request->buffer;

	if (transfer->fixed)
		queue_read_fixed(request, nr, extent->file, position, length,
				 offset);
	else
		queue_read(request, nr, extent->file, buffer + position, length,
			   offset);
}

/* Of an extent with its zeros, or with the bytes that are copied. */
static uint32_t length_before(const struct request *request, unsigned int nr)
{
	return request->io.extents[nr].zero_before + request->io.copy.before;
}

static uint32_t length_after(const struct request *request, unsigned int nr)
{
	return request->io.extents[nr].zero_after + request->io.copy.after;
}

uint32_t inflight_whole(const struct request *request, unsigned int nr)
{
	return length_before(request, nr) + request->io.extents[nr].length +
	       length_after(request, nr);
}

/* Describes the bytes that are still to be written; returns the number of
   parts. */
static unsigned int fill_vector(struct request *request, unsigned int nr,
				struct iovec *vector)
{
	const struct qcow_extent *extent = &request->io.extents[nr];
	const struct transfer *transfer = &request->transfers[nr];
	char *buffer = request->buffer;
	char *zeros = request->all->zeros;
	const struct iovec parts[TRANSFER_PARTS] = {
		{ zeros, extent->zero_before },
		{ buffer + transfer->position, extent->length },
		{ zeros, extent->zero_after },
	};
	size_t done = transfer->done, skip;
	unsigned int part, count = 0;

	for (part = 0; part < TRANSFER_PARTS; part++) {
		skip = done < parts[part].iov_len ? done : parts[part].iov_len;
		done -= skip;
		if (skip == parts[part].iov_len)
			continue;
		vector[count].iov_base = (char *)parts[part].iov_base + skip;
		vector[count].iov_len = parts[part].iov_len - skip;
		count++;
	}
	return count;
}

/* A registered buffer and zeros cannot go in one transfer: so one of the
   parts at a time, and write_done() calls for the next. */
static void write_part(struct request *request, unsigned int nr)
{
	const struct qcow_extent *extent = &request->io.extents[nr];
	struct transfer *transfer = &request->transfers[nr];
	uint32_t done = transfer->done, before = extent->zero_before;
	uint64_t offset = extent->offset - before + done;
	uint32_t data = before + extent->length;

	if (done < before)
		queue_write(request, nr, extent->file, request->all->zeros,
			    before - done, offset);
	else if (done < data)
		queue_write_fixed(request, nr, extent->file,
				  transfer->position + done - before,
				  data - done, offset);
	else
		queue_write(request, nr, extent->file, request->all->zeros,
			    data + extent->zero_after - done, offset);
}

static void write_vector(struct request *request, unsigned int nr)
{
	const struct qcow_extent *extent = &request->io.extents[nr];
	const struct transfer *transfer = &request->transfers[nr];
	struct iovec *vector = &request->parts[nr * TRANSFER_PARTS];
	const uint32_t before = length_before(request, nr);
	const uint32_t done = transfer->done;
	uint64_t offset = extent->offset - before + done;
	char *bytes = (char *)request->buffer + transfer->position;
	unsigned int count;

	if (is_copy(request))
		bytes = request->copied;
	if (is_copy(request) || (!before && !length_after(request, nr))) {
		queue_write(request, nr, extent->file, bytes + done,
			    inflight_whole(request, nr) - done, offset);
		return;
	}
	count = fill_vector(request, nr, vector);
	if (count == 1)
		queue_write(request, nr, extent->file, vector[0].iov_base,
			    vector[0].iov_len, offset);
	else
		queue_writev(request, nr, extent->file, vector, count, offset);
}

static void write_extent(struct request *request, unsigned int nr)
{
	if (request->transfers[nr].fixed)
		write_part(request, nr);
	else
		write_vector(request, nr);
}

static void start_transfer(struct request *request, unsigned int nr)
{
	if (request->op == UBLK_IO_OP_READ)
		read_extent(request, nr);
	else
		write_extent(request, nr);
}

void inflight_write(struct request *request)
{
	start_transfer(request, 0);
}

static void transfer_failed(struct request *request, int error)
{
	if (!request->result)
		request->result = error;
	put_transfer(request);
}

static int take_bytes(struct request *request, unsigned int nr)
{
	const uint32_t position = request->transfers[nr].position;

	return queue_take_bytes(request, (char *)request->buffer + position,
				position, request->io.extents[nr].length);
}

/* The request's own buffer is moved, so it must have the data. */
static void start_copying(struct request *request, unsigned int nr)
{
	int ret = 0;

	request->transfers[nr].fixed = false;
	if (request->op == UBLK_IO_OP_WRITE)
		ret = take_bytes(request, nr);
	if (ret < 0)
		transfer_failed(request, ret);
	else
		start_transfer(request, nr);
}

static void start_extent(struct request *request, unsigned int nr)
{
	request->left++;
	if (request->registered) {
		request->transfers[nr].fixed = true;
		start_transfer(request, nr);
	} else {
		start_copying(request, nr);
	}
}

/* A read extent, from done on, is zeros. */
static void read_zeros(struct request *request, unsigned int nr, uint32_t done)
{
	const uint32_t position = request->transfers[nr].position + done;
	const uint32_t length = request->io.extents[nr].length - done;
	int ret;

	memset((char *)request->buffer + position, 0, length);
	ret = queue_give_bytes(request, position, length);
	if (ret < 0 && !request->result)
		request->result = ret;
}

static void start_extents(struct request *request)
{
	const struct qcow_extent *extent = request->io.extents;
	struct transfer *transfer = request->transfers;
	uint32_t position = 0;
	unsigned int nr;

	request->result = 0;
	request->left = 1; /* ours, until all are started */
	for (nr = 0; nr < request->io.nr_extents; nr++, extent++, transfer++) {
		assert(extent->length <= request->length - position);
		transfer->position = position;
		transfer->done = 0;
		if (extent->kind == QCOW_EXTENT_ZERO)
			read_zeros(request, nr, 0);
		else
			start_extent(request, nr);
		position += extent->length;
	}
	assert(position == request->length);
	put_transfer(request);
}

void inflight_start(struct request *request)
{
	assert(!request->left && request->io.nr_extents <= QCOW_IO_EXTENTS);
	assert(request->length <= request->all->max_io);
	request->copying = request->op == UBLK_IO_OP_WRITE && is_copy(request);
	if (request->copying)
		copy_start(request);
	else
		start_extents(request);
}

static void read_done(struct request *request, unsigned int nr, int res)
{
	const struct qcow_extent *extent = &request->io.extents[nr];
	struct transfer *transfer = &request->transfers[nr];
	int ret = 0;

	assert((uint32_t)res <= extent->length - transfer->done);
	transfer->done += res;
	if (transfer->done < extent->length &&
	    !at_end_of_file(request, transfer, res)) {
		read_extent(request, nr);
		return;
	}
	if (!transfer->fixed)
		ret = queue_give_bytes(request, transfer->position,
				       transfer->done);
	if (ret < 0 && !request->result)
		request->result = ret;
	if (transfer->done < extent->length)
		read_zeros(request, nr, transfer->done);
	put_transfer(request);
}

static void write_done(struct request *request, unsigned int nr, int res)
{
	struct transfer *transfer = &request->transfers[nr];
	const uint32_t whole = inflight_whole(request, nr);

	assert((uint32_t)res <= whole - transfer->done);
	transfer->done += res;
	if (transfer->done == whole)
		put_transfer(request);
	else if (res)
		write_extent(request, nr);
	else
		transfer_failed(request, -EIO); /* it would be so for ever */
}

/* The guest's memory may be less aligned than the image's file wants; our
   buffers are not. */
static void copy_instead(struct request *request, unsigned int nr)
{
	request->transfers[nr].done = 0;
	start_copying(request, nr);
}

static void copy_transferred(struct request *request, int res)
{
	int ret = copy_continue(request, res);

	if (ret < 0)
		transfer_failed(request, ret);
	else if (!ret)
		gather_add(request);
}

static void synced(struct request *request, unsigned int file, int res)
{
	if (is_to_be_repeated(res))
		queue_sync(request, file);
	else if (res < 0)
		transfer_failed(request, res);
	else
		put_transfer(request);
}

void inflight_sync(struct request *request, unsigned int files)
{
	request->result = 0;
	request->left = files;
	for (unsigned int file = 0; file < files; file++)
		queue_sync(request, file);
}

void inflight_transferred(struct request *request, unsigned int nr, int res)
{
	assert(request->left > 0);
	if (request->flushes) {
		synced(request, nr, res);
		return;
	}
	assert(nr < request->io.nr_extents);
	if (request->copying)
		copy_transferred(request, res);
	else if (is_to_be_repeated(res))
		start_transfer(request, nr);
	else if (res == -EINVAL && request->transfers[nr].fixed)
		copy_instead(request, nr);
	else if (res < 0)
		transfer_failed(request, res);
	else if (request->op == UBLK_IO_OP_READ)
		read_done(request, nr, res);
	else
		write_done(request, nr, res);
}
