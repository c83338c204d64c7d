// SPDX-License-Identifier: GPL-2.0-or-later
/* Refcounts, their blocks and their table, broken. */
#include "tests/lib/breakages-counts.h"
#include "tests/lib/places.h"
#include "qcow/bits.h"
#include "qcow/format.h"

/* ---- counts ---- */

bool count_too_high(uint8_t *bytes, size_t size)
{
	(void)size;
	*place_count(bytes, place_data(bytes)) += 1;
	return true;
}

bool count_zero(uint8_t *bytes, size_t size)
{
	(void)size;
	*place_count(bytes, place_data(bytes)) = 0;
	return true;
}

bool count_too_low(uint8_t *bytes, size_t size)
{
	(void)size;
	if (!place_has_snapshots(bytes))
		return false;
	*place_count(bytes, place_data(bytes)) -= 1;
	return true;
}

bool header_not_counted(uint8_t *bytes, size_t size)
{
	(void)size;
	*place_count(bytes, 0) = 0;
	return true;
}

bool table_not_counted(uint8_t *bytes, size_t size)
{
	(void)size;
	*place_count(bytes, load_be64(place_l1(bytes)) & ENTRY_OFFSET) = 0;
	return true;
}

bool nothing_counted(uint8_t *bytes, size_t size)
{
	(void)size;
	memset(bytes + load_be64(place_refcount_table(bytes)), 0,
	       place_cluster_size(bytes));
	return true;
}

/* ---- refcount blocks ---- */

bool block_unaligned(uint8_t *bytes, size_t size)
{
	(void)size;
	return place_cluster_size(bytes) > 512 &&
	       place_change(place_refcount_table(bytes), 0, 512);
}

bool block_beyond_end(uint8_t *bytes, size_t size)
{
	store_be64(place_refcount_table(bytes),
		   round_up(4 * size, place_cluster_size(bytes)));
	return true;
}

bool block_far_away(uint8_t *bytes, size_t size)
{
	(void)size;
	return place_change(place_refcount_table(bytes), 0,
			    0x7ff0000000000000ull);
}

bool block_reserved_bits(uint8_t *bytes, size_t size)
{
	(void)size;
	return place_change(place_refcount_table(bytes), 0, 1);
}

bool block_missing(uint8_t *bytes, size_t size)
{
	(void)size;
	store_be64(place_refcount_table(bytes), 0);
	return true;
}

bool block_in_header(uint8_t *bytes, size_t size)
{
	(void)size;
	store_be64(place_refcount_table(bytes) + 8, place_cluster_size(bytes));
	return true;
}

/* ---- the refcount table ---- */

bool counts_beyond_end(uint8_t *bytes, size_t size)
{
	store_be64(bytes + HEADER_REFCOUNT_TABLE_OFFSET,
		   round_up(size, place_cluster_size(bytes)));
	return true;
}

bool counts_far_away(uint8_t *bytes, size_t size)
{
	(void)size;
	store_be64(bytes + HEADER_REFCOUNT_TABLE_OFFSET, 1ull << 50);
	return true;
}

bool counts_in_header(uint8_t *bytes, size_t size)
{
	(void)size;
	store_be64(bytes + HEADER_REFCOUNT_TABLE_OFFSET, 0);
	return true;
}

bool counts_in_l1(uint8_t *bytes, size_t size)
{
	(void)size;
	store_be64(bytes + HEADER_REFCOUNT_TABLE_OFFSET,
		   load_be64(bytes + HEADER_L1_OFFSET));
	return true;
}

bool no_refcount_table(uint8_t *bytes, size_t size)
{
	(void)size;
	store_be32(bytes + HEADER_REFCOUNT_TABLE_CLUSTERS, 0);
	return true;
}
