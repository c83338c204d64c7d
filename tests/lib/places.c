// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Where things are in an image: found from the header, as a reader would.
 */
#include "tests/lib/places.h"
#include "qcow/bits.h"
#include "qcow/format.h"

uint64_t place_cluster_size(const uint8_t *bytes)
{
	return 1ull << load_be32(bytes + HEADER_CLUSTER_BITS);
}

unsigned int place_version(const uint8_t *bytes)
{
	return load_be32(bytes + HEADER_VERSION);
}

bool place_has_snapshots(const uint8_t *bytes)
{
	return load_be32(bytes + HEADER_NB_SNAPSHOTS);
}

bool place_has_subclusters(const uint8_t *bytes)
{
	return place_version(bytes) >= 3 &&
	       load_be64(bytes + HEADER_INCOMPATIBLE) &
		       INCOMPATIBLE_EXTENDED_L2;
}

uint8_t *place_l1(uint8_t *bytes)
{
	return bytes + load_be64(bytes + HEADER_L1_OFFSET);
}

uint8_t *place_l2(uint8_t *bytes)
{
	return bytes + (load_be64(place_l1(bytes)) & ENTRY_OFFSET);
}

uint8_t *place_refcount_table(uint8_t *bytes)
{
	return bytes + load_be64(bytes + HEADER_REFCOUNT_TABLE_OFFSET);
}

uint8_t *place_bitmap(uint8_t *bytes)
{
	return place_l2(bytes) + 8;
}

uint64_t place_data(uint8_t *bytes)
{
	return load_be64(place_l2(bytes)) & ENTRY_OFFSET;
}

static unsigned int count_bytes(const uint8_t *bytes)
{
	return place_version(bytes) < 3 ?
		       2 :
		       1u << load_be32(bytes + HEADER_REFCOUNT_ORDER) >> 3;
}

uint8_t *place_count(uint8_t *bytes, uint64_t offset)
{
	uint64_t cluster = offset / place_cluster_size(bytes);
	unsigned int width = count_bytes(bytes);

	return bytes + load_be64(place_refcount_table(bytes)) +
	       cluster * width + width - 1;
}

bool place_change(uint8_t *at, uint64_t clear, uint64_t set)
{
	uint64_t entry = load_be64(at);

	store_be64(at, (entry & ~clear) | set);
	return load_be64(at) != entry;
}
