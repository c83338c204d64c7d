/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A request as calls of the engine that may block: for workers.
 */
#ifndef BLOCKING_H
#define BLOCKING_H

struct request;

/* Does the work of the request.  0 or -errno. */
int blocking_call(struct request *request);

#endif /* BLOCKING_H */
