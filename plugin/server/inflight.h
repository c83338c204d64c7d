/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A mapped request in flight: moving the bytes of its extents, or syncing the
 * files of the image.
 */
#ifndef INFLIGHT_H
#define INFLIGHT_H

struct request;

/* Starts the transfers of all extents of request->io.  request_moved() is
   called when the last has ended, perhaps at once. */
void inflight_start(struct request *request);

/* The same for a FLUSH: syncs so many of the image's files, the first ones. */
void inflight_sync(struct request *request, unsigned int files);

/* One transfer, or sync, ended with the result of its system call. */
void inflight_transferred(struct request *request, unsigned int extent,
			  int res);

#endif /* INFLIGHT_H */
