/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where things are in an image, by its bytes.
 */
#ifndef PLACES_H
#define PLACES_H

#include <stdbool.h>
#include <stdint.h>

uint64_t place_cluster_size(const uint8_t *bytes);
unsigned int place_version(const uint8_t *bytes);
bool place_has_snapshots(const uint8_t *bytes);
bool place_has_subclusters(const uint8_t *bytes);

/* The first L1 entry, the first entry of its L2 table, the refcount table. */
uint8_t *place_l1(uint8_t *bytes);
uint8_t *place_l2(uint8_t *bytes);
uint8_t *place_refcount_table(uint8_t *bytes);

/* The second word of an extended entry. */
uint8_t *place_bitmap(uint8_t *bytes);

/* The offset of the first data cluster. */
uint64_t place_data(uint8_t *bytes);

/* The lowest byte of the count of the cluster at an offset, which is in the
   first block. */
uint8_t *place_count(uint8_t *bytes, uint64_t offset);

/* Clears and sets bits of a 64-bit word; false: nothing has changed. */
bool place_change(uint8_t *at, uint64_t clear, uint64_t set);

#endif /* PLACES_H */
