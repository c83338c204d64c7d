/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A request as calls of the engine that may block: for workers.
 */
#ifndef BLOCKING_H
#define BLOCKING_H

struct request;

/* Not an error: the engine can map the request now. */
#define BLOCKING_LOADED 1

/* Does the work of the request, or, if its loads is set, perhaps only loads the
   tables that its mapping has lacked.  0, BLOCKING_LOADED or -errno. */
int blocking_call(struct request *request);

#endif /* BLOCKING_H */
