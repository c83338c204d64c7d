// SPDX-License-Identifier: GPL-2.0-or-later
/* The damages of check-alike: how each image is made and damaged. */
#include "tests/engine/check-alike.h"
#include "tests/lib/helpers.h"
#include "qcow/bits.h"
#include "qcow/format.h"

struct alike_image image;

static uint64_t get(uint64_t at)
{
	return load_be64(image.bytes + at);
}

static void put(uint64_t at, uint64_t value)
{
	store_be64(image.bytes + at, value);
}

static uint64_t l1(void)
{
	return get(HEADER_L1_OFFSET);
}

/* The place of an L2 entry in the first L2 table; size 16: an extended
   entry. */
static uint64_t l2(unsigned int index, unsigned int size)
{
	return (get(l1()) & ENTRY_OFFSET) + index * size;
}

static uint64_t table(void)
{
	return get(HEADER_REFCOUNT_TABLE_OFFSET);
}

static void put_count(uint64_t cluster, unsigned int count)
{
	uint8_t *at = image.bytes + get(table()) + cluster * 2;

	at[0] = count >> 8;
	at[1] = count;
}

static uint64_t cluster_of(uint64_t entry)
{
	return (entry & ENTRY_OFFSET) >> 16;
}

static void nothing(void)
{
}

static void count_zero(void)
{
	put_count(cluster_of(get(l2(0, 8))), 0);
}

static void count_two(void)
{
	put_count(cluster_of(get(l2(0, 8))), 2);
}

static void two_entries(void)
{
	put(l2(1, 8), get(l2(0, 8)));
}

static void copied_missing(void)
{
	put(l2(0, 8), get(l2(0, 8)) & ~ENTRY_COPIED);
}

static void two_copied_missing(void)
{
	put(l2(1, 8), get(l2(1, 8)) & ~ENTRY_COPIED);
	put(l2(2, 8), 2u << 16);
}

static void table_copied_missing(void)
{
	put(l1(), get(l1()) & ~ENTRY_COPIED);
}

static void beyond_end(void)
{
	put(l2(9, 8), ENTRY_COPIED | 1u << 30);
}

static void at_end(void)
{
	put(l2(9, 8), ENTRY_COPIED | round_up(image.size, 65536));
}

static void far_beyond_end(void)
{
	put(l2(9, 8), 0x8fffffffffff0000);
}

static void unaligned(void)
{
	put(l2(0, 8), get(l2(0, 8)) + 512);
}

static void nothing_on_header(void)
{
	put(l2(9, 8), 512 | ENTRY_ZERO);
}

static void reserved_low(void)
{
	put(l2(0, 8), get(l2(0, 8)) | 2);
}

static void reserved_high(void)
{
	put(l2(0, 8), get(l2(0, 8)) | 1ull << 57);
}

static void table_reserved(void)
{
	put(l1(), get(l1()) | 2);
}

static void table_beyond_end(void)
{
	put(l1(), ENTRY_COPIED | 1ull << 40);
}

static void table_unaligned(void)
{
	put(l1(), get(l1()) + 512);
}

static void copied_nowhere(void)
{
	put(l1(), ENTRY_COPIED);
}

static void snapshot_copied_nowhere(void)
{
	put(get(get(HEADER_SNAPSHOTS_OFFSET)), ENTRY_COPIED);
}

static void copied_nothing(void)
{
	put(l2(9, 8), ENTRY_COPIED);
}

static void data_on_l1(void)
{
	put(l2(9, 8), ENTRY_COPIED | l1());
}

static void data_on_itself(void)
{
	put(l2(9, 8), ENTRY_COPIED | (get(l1()) & ENTRY_OFFSET));
}

static void block_reserved(void)
{
	put(table(), get(table()) | 1);
}

static void block_unaligned(void)
{
	put(table(), get(table()) + 512);
}

static void block_missing(void)
{
	put(table(), 0);
}

static void blocks_same(void)
{
	put(table() + 8, get(table()));
}

static void table_nowhere(void)
{
	put(HEADER_REFCOUNT_TABLE_OFFSET, 0);
}

static void unknown_feature(void)
{
	put(HEADER_INCOMPATIBLE, get(HEADER_INCOMPATIBLE) | 1u << 20);
}

static void unknown_encryption(void)
{
	store_be32(image.bytes + HEADER_CRYPT_METHOD, 3);
}

static void unknown_compression(void)
{
	put(HEADER_INCOMPATIBLE,
	    get(HEADER_INCOMPATIBLE) | INCOMPATIBLE_COMPRESSION);
	image.bytes[HEADER_COMPRESSION_TYPE] = 2;
}

static void compression_without_bit(void)
{
	image.bytes[HEADER_COMPRESSION_TYPE] = 1;
}

static void packed_copied(void)
{
	put(l2(0, 8), get(l2(0, 8)) | ENTRY_COPIED);
}

static void both_bits(void)
{
	put(l2(0, 16) + 8, get(l2(0, 16) + 8) | 0x0000000f0000000f);
}

static void bits_without_host(void)
{
	put(l2(3, 16) + 8, 3);
}

static void zero_flag(void)
{
	put(l2(0, 16), get(l2(0, 16)) | 1);
}

static void snapshot_count_low(void)
{
	count_zero();
	put_count(cluster_of(get(l2(0, 8))), 1);
}

static void no_snapshots_nowhere(void)
{
	put(HEADER_SNAPSHOTS_OFFSET, 8);
}

static void another_place(void)
{
	put(l2(1, 8), get(l2(0, 8)));
}

/* And a cluster whose place lies behind the image's own end. */
static void subclusters_far_away(void)
{
	both_bits();
	put(l2(9, 16), ENTRY_COPIED | 9u << 16);
	put(l2(9, 16) + 8, 1);
}

static void cut_off(void)
{
	image.size = 65536;
}

#define PLAIN \
	"qemu-img create -q -f qcow2 i 64M; qemu-io -f qcow2 -c 'write -q -P 1 0 64k' -c 'write -q -P 2 64k 64k' -c 'write -q -P 4 1M 64k' i"
#define PACKED \
	"qemu-img create -q -f qcow2 i 64M; qemu-io -f qcow2 -c 'write -q -c -P 7 0 64k' -c 'write -q -c -P 8 64k 64k' i"
#define EXTENDED \
	"qemu-img create -q -f qcow2 -o extended_l2=on i 64M; qemu-io -f qcow2 -c 'write -q -P 1 0 6k' i"
#define DATA_FILE(options) \
	"qemu-img create -q -f qcow2 -o data_file=i.data" options \
	" i 64M; qemu-io -f qcow2 -c 'write -q -P 1 0 64k' -c 'write -q -P 2 64k 64k' i"
#define SNAPSHOT PLAIN "; qemu-img snapshot -c s i"

const struct row rows[] = {
	{ "sound", PLAIN, nothing, NULL, false },
	{ "a count of 0", PLAIN, count_zero, NULL, false },
	{ "a count of 2", PLAIN, count_two, NULL, false },
	{ "two entries, one cluster", PLAIN, two_entries, NULL, false },
	{ "COPIED missing", PLAIN, copied_missing, NULL, false },
	{ "COPIED of a table missing", PLAIN, table_copied_missing, NULL,
	  false },
	{ "beyond the end", PLAIN, beyond_end, NULL, false },
	{ "at the end", PLAIN, at_end, NULL, false },
	{ "far beyond the end", PLAIN, far_beyond_end, NULL, false },
	{ "unaligned", PLAIN, unaligned, NULL, false },
	{ "a low reserved bit", PLAIN, reserved_low, NULL, false },
	{ "a high reserved bit", PLAIN, reserved_high, NULL, false },
	{ "a reserved bit of a table", PLAIN, table_reserved, NULL, false },
	{ "a table beyond the end", PLAIN, table_beyond_end, NULL, false },
	{ "COPIED and nothing", PLAIN, copied_nothing, NULL, false },
	{ "data on the L1 table", PLAIN, data_on_l1, NULL, false },
	{ "a table on itself", PLAIN, data_on_itself, NULL, false },
	{ "no refcount block", PLAIN, block_missing, NULL, false },
	{ "an unknown feature", PLAIN, unknown_feature, NULL, false },
	{ "unknown encryption", PLAIN, unknown_encryption, NULL, false },
	{ "unknown compression", PLAIN, unknown_compression, NULL, false },
	{ "compression without its bit", PLAIN, compression_without_bit, NULL,
	  false },
	{ "compressed", PACKED, nothing, NULL, false },
	{ "subclusters", EXTENDED, nothing, NULL, false },
	{ "a snapshot", SNAPSHOT, nothing, NULL, false },
	{ "a count of 1 with a snapshot", SNAPSHOT, snapshot_count_low, NULL,
	  false },
	{ "cut off", PLAIN, cut_off, NULL, false },
	{ "a data file", DATA_FILE(""), nothing, NULL, false },
	{ "COPIED missing, a data file", DATA_FILE(""), two_copied_missing,
	  NULL, false },
	{ "an unaligned table", PLAIN, table_unaligned,
	  "qemu-img reads a table from the wrong place, and counts each word that it takes for an entry",
	  false },
	{ "COPIED without a table", PLAIN, copied_nowhere,
	  "qemu-img takes the header for a table, and cannot repair the entries there; we take the flag off",
	  true },
	{ "COPIED without a table, in a snapshot", SNAPSHOT,
	  snapshot_copied_nowhere,
	  "qemu-img takes the header for a table; we take the flag off", true },
	{ "no snapshots, in a place that cannot be", PLAIN,
	  no_snapshots_nowhere, "qemu-img fails; we let the place go", true },
	{ "reserved bits of a block", PLAIN, block_reserved,
	  "qemu-img tells of the entry alone and cannot repair it; we tell of each cluster that is not counted, and rebuild",
	  true },
	{ "an unaligned block", PLAIN, block_unaligned,
	  "qemu-img fails; we rebuild", true },
	{ "two blocks in one place", PLAIN, blocks_same,
	  "we tell of the block's own cluster, too", true },
	{ "the refcount table in the header", PLAIN, table_nowhere,
	  "qemu-img takes the header for a refcount table", true },
	{ "COPIED beside compression", PACKED, packed_copied,
	  "qemu-img leaves the flag; we take it off", true },
	{ "nothing, unaligned, on the header", PLAIN, nothing_on_header,
	  "qemu-img judges its COPIED flag, too", true },
	{ "subclusters both allocated and zero", EXTENDED, both_bits,
	  "qemu-img leaves the bitmap; we let the zeros go, which nobody could read",
	  true },
	{ "subclusters without a cluster", EXTENDED, bits_without_host,
	  "qemu-img leaves the bitmap; we clear it", true },
	{ "another's place in the data file", DATA_FILE(""), another_place,
	  "qemu-img does not look at the place, and its reads fail", true },
	{ "both allocated and zero, in a data file",
	  DATA_FILE(",extended_l2=on"), subclusters_far_away,
	  "qemu-img leaves the bitmap; we let the zeros go", true },
	{ "a zero flag beside a bitmap", EXTENDED, zero_flag,
	  "the specification reserves the bit; qemu-img does not look at it",
	  true },
};
const unsigned int nr_rows = ARRAY_SIZE(rows);
