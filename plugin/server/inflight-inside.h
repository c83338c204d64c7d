/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Transfers in flight from the inside; for inflight*.c only.
 */
#ifndef INFLIGHT_INSIDE_H
#define INFLIGHT_INSIDE_H

#include <errno.h>
#include <stdbool.h>
#include "plugin/server/request.h"

/* The last: the kernel could not start a worker for the ring.  P5: the disk's
   user waits until it can. */
static inline bool is_to_be_repeated(int res)
{
	return res == -EINTR || res == -EAGAIN || res == -ECANCELED;
}

/* Of a read that went so far: will no more bytes come? */
static inline bool at_end_of_file(const struct request *request,
				  const struct transfer *transfer, int res)
{
	return res == 0 || transfer->done % request->all->alignment;
}

/* inflight.c */

/* Bytes that an extent and all around it make, zeros or copies. */
uint32_t inflight_whole(const struct request *request, unsigned int nr);

/* Writes the only extent of a copy, with the bytes around. */
void inflight_write(struct request *request);

/* inflight-gather.c */

/* The copy is whole: gather_start() writes it. */
void gather_add(struct request *request);

/* inflight-copy.c */

/* Are there bytes to copy around the request's own? */
static inline bool is_copy(const struct request *request)
{
	return request->io.copy.before || request->io.copy.after;
}

/* Finds memory for the whole cluster, request->copied, and starts to read the
   bytes around, as the transfer of the only extent. */
void copy_start(struct request *request);

/* That transfer ended.  0: the cluster is whole, with the request's own bytes;
   1: it goes on; or -errno. */
int copy_continue(struct request *request, int res);

/* The request is not in flight any more; gives the memory back, if there is
   any. */
void copy_end(struct request *request);

#endif /* INFLIGHT_INSIDE_H */
