// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The top tables: L1 as the file has it, the refcount table where the header
 * or the journal says it is; and whether their entries can be true (P6).
 */
#include <errno.h>
#include <stdlib.h>
#include "qcow/cluster.h"
#include "qcow/error.h"

/* Reads a table of 64-bit entries, length in bytes, in host byte order. */
static int read_table(struct qcow_image *image, uint64_t offset,
		      uint64_t length, uint64_t **table)
{
	uint64_t *entries = file_buffer(
		round_up(length, image->file.alignment));
	int ret;

	if (!entries)
		return -ENOMEM;
	ret = file_read(&image->file, entries, offset,
			round_up(length, image->file.alignment));
	if (ret) {
		free(entries);
		return ret;
	}
	slice_swap(SLICE_L2, 0, entries, length);
	*table = entries;
	return 0;
}

int load_l1(struct qcow_image *image, struct qcow_error *error)
{
	int ret = read_table(image, image->geometry.l1_offset,
			     image->geometry.l1_size * 8ull, &image->l1);

	if (ret)
		return fail(error, ret, "reading the L1 table: %s",
			    strerror(-ret));
	return 0;
}

/* Where the journal says, if it says anything; else where the header does. */
int load_refcount_table(struct qcow_image *image, struct qcow_error *error)
{
	uint64_t length = (uint64_t)image->header.refcount_table_clusters
			  << image->geometry.cluster_bits;
	int ret;

	if (length > MAX_REFCOUNT_TABLE_BYTES)
		return fail(
			error, -EINVAL,
			"its journal names a refcount table that is too large");
	ret = read_table(image, image->header.refcount_table_offset, length,
			 &image->allocator.refcount_table);
	if (ret)
		return fail(error, ret, "reading the refcount table: %s",
			    strerror(-ret));
	image->allocator.refcount_table_size = length / 8;
	return 0;
}

/* An offset out of a top table. */
static int check_entry(const struct qcow_image *image, const char *what,
		       uint64_t index, uint64_t entry, uint64_t flags,
		       struct qcow_error *error)
{
	uint64_t offset = entry & ENTRY_OFFSET;
	const char *why = NULL;

	if (entry & ~(ENTRY_OFFSET | flags) ||
	    !is_aligned(offset, cluster_size(image)))
		why = "is malformed";
	else if (offset >> image->geometry.cluster_bits >=
		 image->allocator.high_water)
		why = "points outside the file; the image is truncated or corrupt";
	else if (offset && cluster_is_top_table(image, offset))
		why = "overlaps the header, the L1 or the refcount table";
	if (!why)
		return 0;
	return fail(error, -EINVAL, "%s of index %llu (entry %#llx) %s", what,
		    (unsigned long long)index, (unsigned long long)entry, why);
}

static int compare_offsets(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

/* Every L2 table and refcount block has a place of its own; which, is
   remembered, so that no data is ever written there. */
static int check_overlaps(struct qcow_image *image, struct qcow_error *error)
{
	uint64_t total = (uint64_t)image->geometry.l1_size +
			 image->allocator.refcount_table_size;
	uint64_t *offsets = malloc(total * sizeof(*offsets));
	uint64_t count = 0;
	int ret = 0;

	if (!offsets)
		return fail(error, -ENOMEM, "out of memory");
	for (uint32_t i = 0; i < image->geometry.l1_size; i++)
		if (image->l1[i] & ENTRY_OFFSET)
			offsets[count++] = image->l1[i] & ENTRY_OFFSET;
	for (uint32_t i = 0; i < image->allocator.refcount_table_size; i++)
		if (image->allocator.refcount_table[i])
			offsets[count++] = image->allocator.refcount_table[i];
	qsort(offsets, count, sizeof(*offsets), compare_offsets);
	for (uint64_t i = 1; i < count && !ret; i++)
		if (offsets[i] == offsets[i - 1])
			ret = fail(
				error, -EINVAL,
				"two tables overlap at offset %#llx; the image is corrupt",
				(unsigned long long)offsets[i]);
	image->allocator.tables = offsets;
	image->allocator.nr_tables = count;
	return ret;
}

int load_check(struct qcow_image *image, struct qcow_error *error)
{
	int ret = 0;

	for (uint32_t i = 0; i < image->geometry.l1_size && !ret; i++)
		ret = check_entry(image, "L2 table", i, image->l1[i],
				  ENTRY_COPIED, error);
	for (uint32_t i = 0; i < image->allocator.refcount_table_size && !ret;
	     i++)
		ret = check_entry(image, "refcount block", i,
				  image->allocator.refcount_table[i], 0, error);
	return ret ? ret : check_overlaps(image, error);
}
