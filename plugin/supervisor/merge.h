/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Merging a disk's image, and perhaps some of the images below, into one
 * further below, as its supervisor does it.
 */
#ifndef SUPERVISOR_MERGE_H
#define SUPERVISOR_MERGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "plugin/common/disk-event.h"

struct supervisor;

/* merge.c: the image is merged into the one below. */

/* The reason why there can be no merge into the layer at that place, or
   NULL. */
const char *merge_objection(const struct supervisor *sv, unsigned int place);

/* The server is dead: the next one merges, as soon as the layer is locked for
   writing. */
void merge_lock(struct supervisor *sv);

/* CHANGING: it is time to try again. */
void merge_try_again(struct supervisor *sv);

/* The server tells its progress, or that it cannot merge. */
void merge_hear_progress(struct supervisor *sv, uint64_t thousandths);
void merge_hear_failure(struct supervisor *sv, const char *why);

/* The server is dead: the next one does not merge, once the layer is closed.
   why: "" if it was asked for. */
void merge_drop(struct supervisor *sv, const char *why);

/* The server has ended, and has merged all: the layer takes the image's
   place. */
void merge_switch(struct supervisor *sv);

/* Before a server begins: switches to the layer, or marks the overlay, if one
   of these is due, and returns true. */
bool merge_comes_first(struct supervisor *sv);

/* CHANGING: the job of one of these has ended. */
void merge_job_ended(struct supervisor *sv);

/* merged.c: after a merge, the record names an overlay that nobody needs. */

/* Has the overlay no mark yet, and is no server to begin before it has one? */
bool merged_is_unmarked(const struct supervisor *sv);
void merged_mark(struct supervisor *sv);
void merged_job_ended(struct supervisor *sv);

/* The layer is served: tells hooks.d, and the log, if nobody did. */
void merged_describe(const struct supervisor *sv, char *text, size_t size);
void merged_tell(struct supervisor *sv);

/* LIVE: tells hooks.d, unless they hear of it already. */
void merged_run_hooks(struct supervisor *sv);

/* The executables of hooks.d have run for that event. */
void merged_hooks_ended(struct supervisor *sv, enum disk_event event);

#endif /* SUPERVISOR_MERGE_H */
