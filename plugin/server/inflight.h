/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A mapped request in flight: moving the bytes of its extents.
 */
#ifndef INFLIGHT_H
#define INFLIGHT_H

struct request;

/* Starts the transfers of all extents of request->io.  request_moved() is
   called when the last has ended, perhaps at once. */
void inflight_start(struct request *request);

/* One transfer ended with the result of its system call. */
void inflight_transferred(struct request *request, unsigned int extent,
			  int res);

#endif /* INFLIGHT_H */
