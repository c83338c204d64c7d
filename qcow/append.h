/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Room for groups (R16), and groups into journal and dirty set (R3).  Under the
 * lock, which calls that may block drop meanwhile.
 */
#ifndef QCOW_APPEND_H
#define QCOW_APPEND_H

#include "qcow/image.h"
#include "qcow/journal.h"

/* Two sets that hold so many assignments each; both together may hold no
   more. */
int append_create_sets(struct qcow_image *image, uint32_t max_dirty);
/* Nothing is frozen: makes them hold twice as many. */
int append_enlarge_sets(struct qcow_image *image);
/* R16: room for a group of so many words, of so many assignments. */
bool append_has_room(const struct qcow_image *image, uint64_t words,
		     uint64_t assignments);
void append_reserve_room(struct qcow_image *image, uint64_t words,
			 uint64_t assignments);
void append_release_room(struct qcow_image *image, uint64_t words,
			 uint64_t assignments);
/* Blocks until there is room, and reserves it. */
int append_wait_room(struct qcow_image *image, uint64_t words,
		     uint64_t assignments);
/* Time for a checkpoint, so that writers need not wait for room. */
bool append_is_half_full(const struct qcow_image *image);
/* Puts a record's assignments into the active set. */
void append_publish(struct qcow_image *image, const struct record *record);
/* Appends a group to the journal, then publishes it (R3). */
void append_group(struct qcow_image *image, const struct group *group);

#endif /* QCOW_APPEND_H */
