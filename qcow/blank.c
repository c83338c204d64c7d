// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The bytes of a new overlay.
 *
 *	| header, name | refcount table | blocks | L1 table, a hole |
 *
 * Between the last extension and the name there is room for our mark (R12),
 * which qemu-img does not leave.
 *
 * The same bytes tell later whether an overlay is still as it was made.  An
 * open for writing that is followed by no write leaves them as they are.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "qcow/bits.h"
#include "qcow/blank.h"
#include "qcow/error.h"
#include "qcow/file.h"
#include "qcow/header.h"

#define REFCOUNT_ORDER 4
#define NEW_LENGTH     112 /* of the header: with compression type, padded */

static uint64_t clusters(const struct blank *plan)
{
	return 1 + plan->table + plan->blocks + plan->l1;
}

uint64_t blank_end(const struct blank *plan)
{
	return clusters(plan) << plan->cluster_bits;
}

int blank_plan(struct blank *plan, struct qcow_error *error)
{
	unsigned int bits = plan->cluster_bits;
	uint64_t reach = 1ull << (bits + 3 - REFCOUNT_ORDER);

	plan->l1_entries = div_round_up(plan->size, 1ull << (2 * bits - 3));
	if (plan->l1_entries > MAX_L1_BYTES / 8)
		return fail(error, -EFBIG,
			    "with clusters of %u bytes a disk cannot have %llu",
			    1u << bits, (unsigned long long)plan->size);
	plan->l1 = div_round_up(plan->l1_entries * 8, 1ull << bits);
	do {
		plan->blocks++;
		plan->table = div_round_up(plan->blocks * 8, 1ull << bits);
	} while (plan->blocks * reach < clusters(plan));
	return 0;
}

static void put_fields(uint8_t *p, const struct blank *plan)
{
	store_be32(p + HEADER_MAGIC, QCOW_MAGIC);
	store_be32(p + HEADER_VERSION, 3);
	store_be32(p + HEADER_CLUSTER_BITS, plan->cluster_bits);
	store_be64(p + HEADER_SIZE, plan->size);
	store_be32(p + HEADER_L1_SIZE, plan->l1_entries);
	store_be64(p + HEADER_L1_OFFSET, (1 + plan->table + plan->blocks)
						 << plan->cluster_bits);
	store_be64(p + HEADER_REFCOUNT_TABLE_OFFSET,
		   1ull << plan->cluster_bits);
	store_be32(p + HEADER_REFCOUNT_TABLE_CLUSTERS, plan->table);
	store_be32(p + HEADER_REFCOUNT_ORDER, REFCOUNT_ORDER);
	store_be32(p + HEADER_LENGTH, NEW_LENGTH);
}

/* The format, the end mark with room for our own extension, and the name. */
static int put_names(uint8_t *p, const struct blank *plan,
		     struct qcow_error *error)
{
	uint32_t format_size = strlen(plan->format);
	uint32_t end = NEW_LENGTH + EXTENSION_HEAD + round_up(format_size, 8);
	uint32_t offset = end + 2 * EXTENSION_HEAD + LIFE_SIZE;
	size_t size = strlen(plan->name);

	if (size > MAX_BACKING_NAME ||
	    size > (1ull << plan->cluster_bits) - offset)
		return fail(
			error, -ENAMETOOLONG,
			"the name of the file under it is too long for a header: %.200s",
			plan->name);
	store_be32(p + NEW_LENGTH, EXTENSION_BACKING_FORMAT);
	store_be32(p + NEW_LENGTH + 4, format_size);
	memcpy(p + NEW_LENGTH + EXTENSION_HEAD, plan->format, format_size);
	memcpy(p + offset, plan->name, size);
	store_be64(p + HEADER_BACKING_OFFSET, offset);
	store_be32(p + HEADER_BACKING_SIZE, size);
	return 0;
}

static void put_table(uint8_t *p, const struct blank *plan)
{
	for (uint64_t i = 0; i < plan->blocks; i++)
		store_be64(p + i * 8, (1 + plan->table + i)
					      << plan->cluster_bits);
}

/* Every cluster of the image counts one. */
static void put_counts(uint8_t *p, const struct blank *plan)
{
	for (uint64_t i = 0; i < clusters(plan); i++)
		p[2 * i + 1] = 1;
}

uint64_t blank_bytes(const struct blank *plan)
{
	return (1 + plan->table + plan->blocks) << plan->cluster_bits;
}

int blank_put(const struct blank *plan, uint8_t **bytes,
	      struct qcow_error *error)
{
	uint64_t cluster = 1ull << plan->cluster_bits;
	uint8_t *p = calloc(1, blank_bytes(plan));
	int ret;

	if (!p)
		return fail(error, -ENOMEM, "out of memory");
	put_fields(p, plan);
	put_table(p + cluster, plan);
	put_counts(p + (1 + plan->table) * cluster, plan);
	ret = put_names(p, plan, error);
	if (ret)
		free(p);
	else
		*bytes = p;
	return ret;
}

/* ---- is it still as it was made? ---- */

static bool reads_as(struct file *file, uint64_t offset, const uint8_t *bytes,
		     uint64_t length)
{
	uint8_t *found = malloc(length);
	bool same = found && !file_read_loosely(file, found, offset, length) &&
		    !memcmp(found, bytes, length);

	free(found);
	return same;
}

/* A table may have 32 MiB. */
static bool reads_as_zeros(struct file *file, uint64_t offset, uint64_t end)
{
	static const uint8_t zeros[1u << MIN_CLUSTER_BITS];

	for (; offset < end; offset += sizeof(zeros))
		if (!reads_as(file, offset, zeros, sizeof(zeros)))
			return false;
	return true;
}

static bool is_as_planned(struct file *file, const struct blank *plan)
{
	uint64_t end = blank_end(plan), size;
	uint8_t *bytes;
	bool same;

	if (file_size(file, &size) || size != end ||
	    blank_put(plan, &bytes, NULL))
		return false;
	same = reads_as(file, 0, bytes, blank_bytes(plan)) &&
	       reads_as_zeros(file, blank_bytes(plan), end);
	free(bytes);
	return same;
}

static bool plan_as_found(struct file *file, struct blank *plan)
{
	uint8_t *bytes;

	if (header_read_first(file, &bytes, NULL))
		return false;
	plan->cluster_bits = load_be32(bytes + HEADER_CLUSTER_BITS);
	plan->size = load_be64(bytes + HEADER_SIZE);
	free(bytes);
	return plan->cluster_bits >= MIN_CLUSTER_BITS &&
	       plan->cluster_bits <= MAX_CLUSTER_BITS && plan->size &&
	       !blank_plan(plan, NULL);
}

bool qcow_is_new_overlay(const char *path, const struct qcow_overlay *overlay,
			 uint64_t *size)
{
	const struct qcow_options options = {
		.read_only = true,
		.cache = QCOW_CACHE_WRITEBACK,
	};
	struct blank plan = { .name = overlay->name,
			      .format = overlay->format };
	struct qcow_error error;
	struct file file;
	bool new;

	if (file_open(&file, path, &options, &error))
		return false;
	new = plan_as_found(&file, &plan) && is_as_planned(&file, &plan);
	*size = plan.size;
	file_close(&file);
	return new;
}
