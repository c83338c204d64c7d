/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The L1 table: a larger one.  The calls that may block are made under the
   lock, which they drop meanwhile. */
#ifndef QCOW_L1_H
#define QCOW_L1_H

#include "qcow/image.h"

/* How many entries a disk of so many bytes needs. */
uint64_t l1_entries_for(const struct qcow_image *image, uint64_t size);
/* Gives the table so many entries at least, durably.  No I/O of the guest may
   be under way. */
int l1_enlarge(struct qcow_image *image, uint32_t entries);
/* Takes the table that a record of the journal names (R11); at open. */
int l1_replay(struct qcow_image *image, const struct record *record);
/* Writes size and L1 table to the header, as image->header has them. */
int l1_write_header(struct qcow_image *image);

#endif /* QCOW_L1_H */
