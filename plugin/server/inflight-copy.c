// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Copy-on-write in flight: the bytes that come around the request's own are
 * read, by one transfer, to memory for the whole cluster (copies.c), or to the
 * room behind the request's own in its buffer.  Where bytes are needed on both
 * sides, those between come along, and the request's own replace them: that is
 * less work than a second transfer.  One write of the cluster follows.
 */
#include <assert.h>
#include <string.h>
#include "plugin/server/inflight-inside.h"
#include "plugin/server/queue.h"
#include "qcow/bits.h"

#define PAGE 4096u /* an alignment that direct I/O accepts */

static char *room_behind(const struct request *request)
{
	return (char *)request->buffer + round_up(request->length, PAGE);
}

/* Of the cluster: from where on bytes are needed, and where no more are. */

static uint32_t first_needed(const struct request *request)
{
	return request->io.copy.before ? 0 : request->io.extents[0].length;
}

static uint32_t end_needed(const struct request *request)
{
	const struct qcow_copy *copy = &request->io.copy;

	if (!copy->after)
		return copy->before;
	return copy->before + request->io.extents[0].length + copy->after;
}

static uint32_t missing(const struct request *request)
{
	return end_needed(request) - first_needed(request) -
	       request->transfers[0].done;
}

static void read_rest(struct request *request)
{
	const struct qcow_copy *copy = &request->io.copy;
	uint32_t at = first_needed(request) + request->transfers[0].done;

	queue_read(request, 0, copy->file, request->copied + at,
		   missing(request), copy->offset + at);
}

void copy_start(struct request *request)
{
	assert(request->io.nr_extents == 1);
	assert(round_up(request->length, PAGE) + end_needed(request) <=
	       request->all->max_io);
	request->copied = copies_take(&request->all->copies);
	if (!request->copied)
		request->copied = room_behind(request);
	request->transfers[0] = (struct transfer){ .position = 0 };
	request->result = 0;
	request->left = 1;
	read_rest(request);
}

int copy_continue(struct request *request, int res)
{
	struct transfer *transfer = &request->transfers[0];
	uint32_t at;

	if (res >= 0) {
		assert((uint32_t)res <= missing(request));
		transfer->done += res;
	}
	if (is_to_be_repeated(res) ||
	    (res >= 0 && missing(request) &&
	     !at_end_of_file(request, transfer, res))) {
		read_rest(request);
		return 1;
	}
	request->copying = false;
	if (res < 0)
		return res;
	at = first_needed(request) + transfer->done;
	memset(request->copied + at, 0, missing(request));
	transfer->done = 0;
	return queue_take_bytes(request,
				request->copied + request->io.copy.before, 0,
				request->length);
}

void copy_end(struct request *request)
{
	if (!request->copied)
		return;
	copies_put(&request->all->copies, request->copied);
	request->copied = NULL;
}
