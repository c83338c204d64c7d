/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A mapped request in flight: moving the bytes of its extents, or syncing the
 * files of the image.
 */
#ifndef INFLIGHT_H
#define INFLIGHT_H

struct request;
struct requests;

/* Starts the transfers of all extents of request->io.  request_moved() is
   called when the last has ended, perhaps at once. */
void inflight_start(struct request *request);

/* The same for a FLUSH: syncs so many of the image's files, the first ones. */
void inflight_sync(struct request *request, unsigned int files);

/* After a batch of completions: writes the copies that have become whole. */
void gather_start(struct requests *all);

/* Their write ended, and that of all that hang on the first one. */
void inflight_gathered(struct request *first, int res);

/* One transfer, or sync, ended with the result of its system call. */
void inflight_transferred(struct request *request, unsigned int extent,
			  int res);

#endif /* INFLIGHT_H */
