/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The inside of the load program; for load.c, choose.c, report.c and set-up.c
 * only.
 */
#ifndef LOAD_INSIDE_H
#define LOAD_INSIDE_H

#include <liburing.h>

#include "tests/load/load.h"

#define VERIFY_BYTES (128u << 10)
#define VERIFY_DEPTH 16u

extern struct ledger ledger;
extern int disk;
extern bool is_device;
extern struct io_uring ring;
extern struct op *free_ops;
extern unsigned char *busy; /* per block */
extern uint64_t position;   /* sequential */
extern int helper_pipe;

/* load.c: waits on the ring for the helpers' next operation. */
void listen_to_helpers(void);

/* choose.c: the next request. */

/* Before the first: past is the number of writes that there have been. */
void random_begin(uint64_t past);
uint64_t random_below(uint64_t limit);
enum kind random_kind(void);

/* Chooses the blocks of a request.  Returns false if other requests have all
   the blocks that it tried. */
bool pick_blocks(struct op *op);

/* The number of bytes in the blocks of a request. */
uint64_t run_length(const struct op *op);

/* report.c: the figures of a run, and its messages. */

extern uint64_t counts[KINDS + 1]; /* requests that succeeded */
extern uint64_t errors;

/* Requests were under way for so many seconds, and none ended. */
void report_gap(double gap);

/* Prints the longest gap since the last call. */
void report_print_gap(void);

/* A request succeeded.  Another program may wait for the first success. */
void report_works(void);

/* A request failed.  Another program may wait for the first error. */
void report_error(const struct op *op, int error);

/* Prints the last line, which scripts read. */
void report_print(double seconds, uint64_t checked);

/* set-up.c */

/* Opens the disk, the ledger and the ring, and makes room for requests. */
void set_up(void);

#endif /* LOAD_INSIDE_H */
