// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The judge counts every reference in the image: header, top tables, blocks, L2
 * tables, data.  Then it compares each cluster's count with the refcount block,
 * and each COPIED flag with the count.
 */
#include <endian.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "tests/lib/judge.h"

struct image {
	const uint8_t *bytes;
	size_t size;
	uint32_t cluster_bits, order, l1_size;
	uint32_t extended; /* L2 entries have two words */
	uint64_t l1, table, table_clusters;
	uint32_t snapshots;
	uint64_t snapshot_table;
	uint64_t clusters; /* of the file */
	uint32_t *references;
	struct verdict *verdict;
};

static uint64_t be64(const struct image *i, uint64_t at)
{
	uint64_t n = 0;

	if (at + 8 <= i->size)
		memcpy(&n, i->bytes + at, 8);
	return be64toh(n);
}

static uint32_t be32(const struct image *i, uint64_t at)
{
	uint32_t n = 0;

	if (at + 4 <= i->size)
		memcpy(&n, i->bytes + at, 4);
	return be32toh(n);
}

static void found(struct image *i, bool leak, const char *format, ...)
{
	va_list args;

	if (!i->verdict->leaks && !i->verdict->corruptions) {
		va_start(args, format);
		vsnprintf(i->verdict->first, sizeof(i->verdict->first), format,
			  args);
		va_end(args);
	}
	if (leak)
		i->verdict->leaks++;
	else
		i->verdict->corruptions++;
}

static void open_image(struct image *i, const uint8_t *bytes, size_t size)
{
	*i = (struct image){ .bytes = bytes, .size = size };
	i->cluster_bits = be32(i, 20);
	i->l1_size = be32(i, 36);
	i->l1 = be64(i, 40);
	i->table = be64(i, 48);
	i->table_clusters = be32(i, 56);
	i->snapshots = be32(i, 60);
	i->snapshot_table = be64(i, 64);
	i->order = be32(i, 4) >= 3 ? be32(i, 96) : 4;
	i->extended = be32(i, 4) >= 3 && be64(i, 72) & 16;
	i->clusters = (size + (1ull << i->cluster_bits) - 1) >> i->cluster_bits;
}

static void refer(struct image *i, uint64_t offset, const char *what)
{
	uint64_t cluster = offset >> i->cluster_bits;

	if (offset & ((1ull << i->cluster_bits) - 1))
		found(i, false, "%s at %#lx is not aligned", what, offset);
	else if (cluster >= i->clusters)
		found(i, false, "%s at %#lx is outside the file", what, offset);
	else
		i->references[cluster]++;
}

static void refer_run(struct image *i, uint64_t offset, uint64_t clusters,
		      const char *what)
{
	for (uint64_t n = 0; n < clusters; n++)
		refer(i, offset + (n << i->cluster_bits), what);
}

static uint64_t count_of(const struct image *i, uint64_t cluster)
{
	uint32_t block_bits = i->cluster_bits + 3 - i->order;
	uint64_t index = cluster >> block_bits;
	uint64_t in_block = cluster & ((1ull << block_bits) - 1);
	uint64_t block, bit, count = 0;

	if (index >= i->table_clusters << (i->cluster_bits - 3))
		return 0;
	block = be64(i, i->table + index * 8);
	if (!block)
		return 0;
	bit = in_block << i->order;
	if (i->order < 3) {
		uint64_t at = block + bit / 8;

		return (at < i->size ? i->bytes[at] : 0) >> (bit % 8) &
		       ((1u << (1u << i->order)) - 1);
	}
	for (uint64_t n = 0; n < 1ull << (i->order - 3); n++) {
		uint64_t at = block + bit / 8 + n;

		count = count << 8 | (at < i->size ? i->bytes[at] : 0);
	}
	return count;
}

static const uint64_t OFFSET = 0x00fffffffffffe00ull;

static void check_copied(struct image *i, uint64_t entry, const char *what)
{
	bool copied = entry >> 63;
	uint64_t count = count_of(i, (entry & OFFSET) >> i->cluster_bits);

	if (copied != (count == 1))
		found(i, !copied, "%s %#lx: COPIED, but a count of %lu", what,
		      entry, count);
}

/* A compressed cluster's bytes: an offset, and how many sectors follow. */
static void refer_packed(struct image *i, uint64_t entry)
{
	uint32_t shift = 62 - (i->cluster_bits - 8);
	uint64_t offset = entry & ((1ull << shift) - 1);
	uint64_t sectors =
		(entry >> shift & ((1u << (i->cluster_bits - 8)) - 1)) + 1;
	uint64_t end = (offset & ~511ull) + sectors * 512;
	uint64_t first = offset >> i->cluster_bits << i->cluster_bits;

	for (; first < end; first += 1ull << i->cluster_bits)
		refer(i, first, "compressed data");
}

static uint64_t l2_entries(const struct image *i)
{
	return 1ull << (i->cluster_bits - 3 - i->extended);
}

static uint64_t l2_entry(const struct image *i, uint64_t table, uint64_t n)
{
	return be64(i, table + (n << i->extended) * 8);
}

/* Subclusters need a cluster, and are not allocated and zero at once. */
static void check_bitmap(struct image *i, uint64_t entry, uint64_t bitmap)
{
	if (bitmap & bitmap >> 32 & 0xffffffff)
		found(i, false, "bitmap %#lx: allocated and zero", bitmap);
	if (bitmap & 0xffffffff && !(entry & OFFSET))
		found(i, false, "bitmap %#lx without a cluster", bitmap);
}

static void walk_l2(struct image *i, uint64_t table, bool check)
{
	for (uint64_t n = 0; n < l2_entries(i); n++) {
		uint64_t entry = l2_entry(i, table, n);

		if (check && i->extended)
			check_bitmap(i, entry, be64(i, table + n * 16 + 8));
		if (entry & 1ull << 62) {
			if (!check)
				refer_packed(i, entry);
			continue;
		}
		if (!(entry & OFFSET))
			continue;
		if (check)
			check_copied(i, entry, "L2 entry");
		else
			refer(i, entry & OFFSET, "data");
	}
}

static void walk_l1(struct image *i, uint64_t l1, uint32_t size, bool check)
{
	for (uint32_t n = 0; n < size; n++) {
		uint64_t entry = be64(i, l1 + n * 8ull);

		if (!(entry & OFFSET))
			continue;
		if (check)
			check_copied(i, entry, "L1 entry");
		else
			refer(i, entry & OFFSET, "L2 table");
		walk_l2(i, entry & OFFSET, check);
	}
}

static uint64_t clusters_for(const struct image *i, uint64_t bytes)
{
	return (bytes + (1ull << i->cluster_bits) - 1) >> i->cluster_bits;
}

/* The table of snapshots, and the clusters that each refers to. */
static void walk_snapshots(struct image *i)
{
	uint64_t at = i->snapshot_table;

	for (uint32_t n = 0; n < i->snapshots; n++) {
		uint64_t l1 = be64(i, at), extra = be32(i, at + 36);
		uint32_t size = be32(i, at + 8), names = be32(i, at + 12);

		refer_run(i, l1, clusters_for(i, size * 8ull), "snapshot L1");
		walk_l1(i, l1, size, false);
		at += 40 + extra + (names >> 16) + (names & 0xffff);
		at = (at + 7) & ~7ull;
	}
	if (i->snapshots)
		refer_run(i, i->snapshot_table,
			  clusters_for(i, at - i->snapshot_table),
			  "snapshot table");
}

static void count_references(struct image *i)
{
	uint64_t entries = i->table_clusters << (i->cluster_bits - 3);

	refer(i, 0, "header");
	refer_run(i, i->l1, clusters_for(i, i->l1_size * 8ull), "L1 table");
	refer_run(i, i->table, i->table_clusters, "refcount table");
	for (uint64_t n = 0; n < entries; n++)
		if (be64(i, i->table + n * 8))
			refer(i, be64(i, i->table + n * 8), "refcount block");
	walk_l1(i, i->l1, i->l1_size, false);
	walk_snapshots(i);
}

void judge(const uint8_t *bytes, size_t size, struct verdict *verdict)
{
	struct image image, *i = &image;

	*verdict = (struct verdict){ 0 };
	open_image(i, bytes, size);
	i->verdict = verdict;
	i->references = calloc(i->clusters, sizeof(*i->references));
	count_references(i);
	for (uint64_t c = 0; c < i->clusters; c++) {
		uint64_t count = count_of(i, c);

		if (count != i->references[c])
			found(i, count > i->references[c],
			      "cluster %lu: count %lu, references %u", c, count,
			      i->references[c]);
	}
	walk_l1(i, i->l1, i->l1_size, true);
	free(i->references);
}

bool judge_read(const uint8_t *bytes, size_t size, uint64_t sector,
		uint8_t out[512])
{
	struct image image, *i = &image;
	uint64_t offset = sector * 512, guest, table, entry, at;

	open_image(i, bytes, size);
	memset(out, 0, 512);
	guest = offset >> i->cluster_bits;
	table = be64(i, i->l1 + guest / l2_entries(i) * 8) & OFFSET;
	if (!table)
		return true;
	guest %= l2_entries(i);
	entry = l2_entry(i, table, guest);
	if (i->extended) {
		uint64_t bitmap = be64(i, table + guest * 16 + 8);
		unsigned int sub = offset >> (i->cluster_bits - 5) & 31;
		bool allocated = bitmap >> sub & 1;
		bool zero = bitmap >> 32 >> sub & 1;

		if (!allocated)
			return true;
		if (zero || !(entry & OFFSET))
			return false;
	} else if (entry & 1 || !(entry & OFFSET)) {
		return true;
	}
	at = (entry & OFFSET) + (offset & ((1ull << i->cluster_bits) - 1));
	if (at < size)
		memcpy(out, bytes + at, size - at < 512 ? size - at : 512);
	return true;
}

uint64_t judge_count(const uint8_t *bytes, size_t size, uint64_t cluster)
{
	struct image image;

	open_image(&image, bytes, size);
	return count_of(&image, cluster);
}
