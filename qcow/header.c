// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The header: read and judged at open.
 *
 * Every field is checked before anything uses it, and a feature that this
 * engine does not support is refused by its name.  The extensions are walked,
 * not trusted; those that we do not know are none of our business.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include "qcow/bits.h"
#include "qcow/error.h"
#include "qcow/header.h"

#define FIRST_BYTES MAX_ALIGNMENT /* hold every field */

static uint32_t cluster_bytes(const struct header *header)
{
	return 1u << header->cluster_bits;
}

static void parse_fields(struct header *h, const uint8_t *p)
{
	*h = (struct header){
		.version = load_be32(p + HEADER_VERSION),
		.backing_offset = load_be64(p + HEADER_BACKING_OFFSET),
		.backing_size = load_be32(p + HEADER_BACKING_SIZE),
		.cluster_bits = load_be32(p + HEADER_CLUSTER_BITS),
		.size = load_be64(p + HEADER_SIZE),
		.crypt_method = load_be32(p + HEADER_CRYPT_METHOD),
		.l1_size = load_be32(p + HEADER_L1_SIZE),
		.l1_offset = load_be64(p + HEADER_L1_OFFSET),
		.refcount_table_offset = load_be64(
			p + HEADER_REFCOUNT_TABLE_OFFSET),
		.refcount_table_clusters = load_be32(
			p + HEADER_REFCOUNT_TABLE_CLUSTERS),
		.nb_snapshots = load_be32(p + HEADER_NB_SNAPSHOTS),
		.snapshots_offset = load_be64(p + HEADER_SNAPSHOTS_OFFSET),
		.refcount_order = 4,
		.length = HEADER_V2_LENGTH,
	};
	if (h->version < 3)
		return;
	h->incompatible = load_be64(p + HEADER_INCOMPATIBLE);
	h->compatible = load_be64(p + HEADER_COMPATIBLE);
	h->autoclear = load_be64(p + HEADER_AUTOCLEAR);
	h->refcount_order = load_be32(p + HEADER_REFCOUNT_ORDER);
	h->length = load_be32(p + HEADER_LENGTH);
	if (h->length > HEADER_COMPRESSION_TYPE)
		h->compression_type = p[HEADER_COMPRESSION_TYPE];
}

/* These must hold before any field may be used. */
static int check_basics(const struct header *h, struct qcow_error *error)
{
	if (h->version != 2 && h->version != 3)
		return fail(error, -ENOTSUP,
			    "qcow version %u is not supported (2 and 3 are)",
			    h->version);
	if (h->cluster_bits < MIN_CLUSTER_BITS ||
	    h->cluster_bits > MAX_CLUSTER_BITS)
		return fail(error, -EINVAL,
			    "header: cluster_bits is %u, must be %d to %d",
			    h->cluster_bits, MIN_CLUSTER_BITS,
			    MAX_CLUSTER_BITS);
	if (h->version == 3 &&
	    (h->length < HEADER_V3_LENGTH || !is_aligned(h->length, 8) ||
	     h->length > cluster_bytes(h)))
		return fail(
			error, -EINVAL,
			"header: header_length is %u, must be a multiple of 8 from %d to the cluster size",
			h->length, HEADER_V3_LENGTH);
	if (h->refcount_order > MAX_REFCOUNT_ORDER)
		return fail(error, -EINVAL,
			    "header: refcount_order is %u, must be at most %d",
			    h->refcount_order, MAX_REFCOUNT_ORDER);
	return 0;
}

static int find_size(struct file *file, uint64_t *size,
		     struct qcow_error *error)
{
	int ret = file_size(file, size);

	return ret ? fail(error, ret, "finding its size: %s", strerror(-ret)) :
		     0;
}

/* One of the two top tables. */
static int check_aligned(const struct header *h, const char *what,
			 uint64_t offset, struct qcow_error *error)
{
	if (is_aligned(offset, cluster_bytes(h)))
		return 0;
	return fail(error, -EINVAL, "%s: offset %#llx is not cluster aligned",
		    what, (unsigned long long)offset);
}

/* Is it inside the file and not in cluster 0? */
static int check_table(const struct header *h, const char *what,
		       uint64_t offset, uint64_t length, uint64_t file_size,
		       struct qcow_error *error)
{
	uint64_t file_end = round_up(file_size, cluster_bytes(h));

	if (length && offset < cluster_bytes(h))
		return fail(error, -EINVAL, "%s overlaps the header", what);
	if (offset > file_end || length > file_end - offset)
		return fail(
			error, -EINVAL,
			"%s: offset %#llx, length %llu lies outside the file; the image is truncated or corrupt",
			what, (unsigned long long)offset,
			(unsigned long long)length);
	return 0;
}

/* Has the L1 table the entries that the disk needs? */
static int check_l1_size(const struct header *h, struct qcow_error *error)
{
	uint64_t l2_bits = h->cluster_bits - 3 + h->cluster_bits;
	uint64_t needed;

	if (h->incompatible & INCOMPATIBLE_EXTENDED_L2)
		l2_bits--;
	needed = (h->size >> l2_bits) + !is_aligned(h->size, 1ull << l2_bits);
	if (h->l1_size > MAX_L1_BYTES / 8)
		return fail(error, -EINVAL, "L1 table: %u entries are too many",
			    h->l1_size);
	if (h->l1_size < needed)
		return fail(
			error, -EINVAL,
			"L1 table is too small: %u entries, the size needs %llu",
			h->l1_size, (unsigned long long)needed);
	return 0;
}

int header_judge_l1(struct file *file, const struct header *h,
		    struct qcow_error *error)
{
	uint64_t size;
	int ret = find_size(file, &size, error);

	return ret ? ret :
		     check_table(h, "L1 table", h->l1_offset, h->l1_size * 8ull,
				 size, error);
}

static uint64_t refcount_table_bytes(const struct header *h)
{
	return (uint64_t)h->refcount_table_clusters << h->cluster_bits;
}

int header_judge_refcount_table(struct file *file, const struct header *h,
				struct qcow_error *error)
{
	uint64_t length = refcount_table_bytes(h), size;
	int ret = find_size(file, &size, error);

	if (ret)
		return ret;
	if (!length)
		return fail(error, -EINVAL, "refcount table: has no clusters");
	ret = check_table(h, "refcount table", h->refcount_table_offset, length,
			  size, error);
	if (ret)
		return ret;
	if (overlaps(h->l1_offset,
		     round_up(h->l1_size * 8ull, cluster_bytes(h)),
		     h->refcount_table_offset, length))
		return fail(error, -EINVAL,
			    "L1 table and refcount table overlap");
	return 0;
}

/* Offsets and sizes that make no sense in any file. */
static int check_fields(const struct header *h, struct qcow_error *error)
{
	int ret = check_l1_size(h, error);

	if (ret)
		return ret;
	if (refcount_table_bytes(h) > MAX_REFCOUNT_TABLE_BYTES)
		return fail(error, -EINVAL,
			    "refcount table: %u clusters are too many",
			    h->refcount_table_clusters);
	ret = check_aligned(h, "L1 table", h->l1_offset, error);
	if (!ret)
		ret = check_aligned(h, "refcount table",
				    h->refcount_table_offset, error);
	if (ret)
		return ret;
	if (!h->backing_offset)
		return 0;
	if (h->backing_size > MAX_BACKING_NAME ||
	    h->backing_offset > cluster_bytes(h) ||
	    h->backing_size > cluster_bytes(h) - h->backing_offset)
		return fail(
			error, -EINVAL,
			"header: the backing file's name lies outside the first cluster");
	return 0;
}

static void note_extension(struct header *h, uint32_t type, uint32_t at,
			   uint32_t length, const uint8_t *data)
{
	if (type != EXTENSION_LIFE ||
	    (length != LIFE_SIZE && length != LIFE_SIZE_MIN))
		return;
	h->life_offset = at;
	h->life_size = length;
	h->mark.nonce = load_be64(data);
	memcpy(h->mark.boot_id, data + 8, sizeof(h->mark.boot_id));
	h->mark.generation = length == LIFE_SIZE ? load_be64(data + 24) : 0;
}

uint32_t header_extensions_limit(const struct header *h)
{
	return h->backing_offset ? h->backing_offset : cluster_bytes(h);
}

static int parse_extensions(struct header *h, const uint8_t *bytes,
			    struct qcow_error *error)
{
	uint32_t limit = header_extensions_limit(h);
	uint32_t at = h->length;

	while (at + EXTENSION_HEAD <= limit) {
		uint32_t type = load_be32(bytes + at);
		uint32_t length = load_be32(bytes + at + 4);

		if (type == EXTENSION_END)
			break;
		if (length > limit - at - EXTENSION_HEAD)
			return fail(
				error, -EINVAL,
				"header extension %#x at %u is longer than the header",
				type, at);
		note_extension(h, type, at, length,
			       bytes + at + EXTENSION_HEAD);
		at += EXTENSION_HEAD + round_up(length, 8);
	}
	h->extensions_end = at;
	return 0;
}

/* Enough of the first cluster to carry every extension and our mark. */
static int keep_area(struct file *file, const struct header *h,
		     struct header_area *area, const uint8_t *cluster)
{
	uint64_t end = h->extensions_end + 2 * EXTENSION_HEAD + LIFE_SIZE;

	area->length = round_up(min_u64(end, cluster_bytes(h)),
				file->alignment);
	area->bytes = file_buffer(area->length);
	if (!area->bytes)
		return -ENOMEM;
	memcpy(area->bytes, cluster, area->length);
	return 0;
}

static int parse_cluster(struct file *file, struct header *h,
			 struct header_area *area, struct qcow_error *error)
{
	uint8_t *cluster = file_buffer(cluster_bytes(h));
	int ret;

	if (!cluster)
		return fail(error, -ENOMEM, "out of memory");
	ret = file_read(file, cluster, 0,
			round_up(cluster_bytes(h), file->alignment));
	if (ret)
		fail(error, ret, "reading the header: %s", strerror(-ret));
	else
		ret = parse_extensions(h, cluster, error);
	if (!ret)
		ret = keep_area(file, h, area, cluster);
	free(cluster);
	return ret;
}

int header_read_first(struct file *file, uint8_t **bytes,
		      struct qcow_error *error)
{
	int ret;

	*bytes = file_buffer(FIRST_BYTES);
	if (!*bytes)
		return fail(error, -ENOMEM, "out of memory");
	ret = file_read(file, *bytes, 0, FIRST_BYTES);
	if (!ret)
		return 0;
	free(*bytes);
	return fail(error, ret, "reading the header: %s", strerror(-ret));
}

static int read_fields(struct file *file, struct header *h,
		       struct qcow_error *error)
{
	uint8_t *bytes;
	int ret = header_read_first(file, &bytes, error);

	if (ret)
		return ret;
	if (load_be32(bytes + HEADER_MAGIC) != QCOW_MAGIC)
		ret = fail(
			error, -EINVAL,
			"not a qcow2 image (no magic number at its beginning)");
	else
		parse_fields(h, bytes);
	free(bytes);
	return ret ? ret : check_basics(h, error);
}

/* The name lies in the first cluster, outside the bytes that are kept. */
int header_read_backing(struct file *file, const struct header *h,
			char name[MAX_BACKING_NAME + 1])
{
	uint64_t end = round_up(h->backing_offset + h->backing_size,
				file->alignment);
	uint8_t *bytes = file_buffer(end);
	int ret;

	if (!bytes)
		return -ENOMEM;
	ret = file_read(file, bytes, 0, end);
	memcpy(name, bytes + h->backing_offset, h->backing_size);
	name[h->backing_size] = 0;
	free(bytes);
	return ret;
}

void header_backing_format(const struct header *h,
			   const struct header_area *area, char format[64])
{
	uint32_t at = h->length, type, length;
	const uint8_t *data;

	format[0] = 0;
	while (header_next_extension(h, area, &at, &type, &length, &data)) {
		if (type != EXTENSION_BACKING_FORMAT)
			continue;
		length = min_u64(length, 63);
		memcpy(format, data, length);
		format[length] = 0;
	}
}

int header_read_unplaced(struct file *file, struct header *header,
			 struct header_area *area, struct qcow_error *error)
{
	uint64_t size;
	int ret = find_size(file, &size, error);

	*area = (struct header_area){ 0 };
	if (ret)
		return ret;
	if (size < HEADER_V2_LENGTH)
		return fail(
			error, -EINVAL,
			"not a qcow2 image: %llu bytes are too short for a header",
			(unsigned long long)size);
	ret = read_fields(file, header, error);
	if (ret)
		return ret;
	ret = check_fields(header, error);
	if (ret)
		return ret;
	return parse_cluster(file, header, area, error);
}

int header_read(struct file *file, struct header *header,
		struct header_area *area, struct qcow_error *error)
{
	int ret = header_read_unplaced(file, header, area, error);

	if (!ret)
		ret = header_judge_l1(file, header, error);
	return ret ? ret : header_judge_refcount_table(file, header, error);
}

bool header_next_extension(const struct header *header,
			   const struct header_area *area, uint32_t *at,
			   uint32_t *type, uint32_t *length,
			   const uint8_t **data)
{
	if (*at + EXTENSION_HEAD > header->extensions_end)
		return false;
	*type = load_be32(area->bytes + *at);
	*length = load_be32(area->bytes + *at + 4);
	*data = area->bytes + *at + EXTENSION_HEAD;
	*at += EXTENSION_HEAD + round_up(*length, 8);
	return true;
}
