// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The gate in front of libqcow.  That library reads some images wrongly
 * without saying so, and some make it crash; the checks here are for images
 * that it must never see.  Every field that it would use is checked first,
 * every table is read once:
 *
 *	version 1: 48 bytes of header; L1 entries are plain offsets; L2
 *	entries have bit 63 for compressed, then cluster_bits bits of length
 *	in bytes, then the offset
 *
 *	version 2: as format.h has it
 *
 * Why each rule: with a backing file it mixes up layers or hangs; it takes
 * L2 tables for clusters, which is so only if l2_bits + 3 == cluster_bits; it
 * reads beyond its buffer if the file ends within a cluster, and crashes on a
 * compressed cluster of length 0; it knows no zero clusters (version 3), and
 * caches 128 clusters, of which larger ones would be too much.
 */
#include <errno.h>
#include <stdlib.h>
#include "qcow/bits.h"
#include "qcow/error.h"
#include "qcow/file.h"
#include "qcow/format.h"
#include "qcow/legacy/legacy.h"

#define GATE_MIN_BITS	9
#define GATE_MAX_BITS	16
#define MAX_TABLE_BYTES (1ull << 30) /* of 64 GiB at least */

/* Version 1's header, where it differs from format.h's. */
enum {
	V1_SIZE = 24,
	V1_CLUSTER_BITS = 32, /* one byte */
	V1_L2_BITS = 33,      /* one byte */
	V1_CRYPT_METHOD = 36,
	V1_L1_OFFSET = 40,
	V1_LENGTH = 48,
};

#define V1_COMPRESSED (1ull << 63)

#define CONVERT "; convert it with 'qemu-img convert'"

/* A piece of the file, at any place and of any alignment. */
struct piece {
	uint8_t *buffer;
	const uint8_t *bytes;
};

static int read_piece(struct file *file, uint64_t offset, size_t length,
		      struct piece *piece)
{
	uint64_t begin = round_down(offset, file->alignment);
	uint64_t end = round_up(offset + length, file->alignment);
	int ret;

	piece->buffer = file_buffer(end - begin);
	if (!piece->buffer)
		return -ENOMEM;
	piece->bytes = piece->buffer + (offset - begin);
	ret = file_read(file, piece->buffer, begin, end - begin);
	if (ret)
		free(piece->buffer);
	return ret;
}

/* ---- the header ---- */

static int parse_v1(const uint8_t *p, struct gate *gate,
		    struct qcow_error *error)
{
	uint32_t crypt = load_be32(p + V1_CRYPT_METHOD);
	uint64_t l1_size;

	gate->cluster_bits = p[V1_CLUSTER_BITS];
	gate->l2_bits = p[V1_L2_BITS];
	gate->size = load_be64(p + V1_SIZE);
	gate->l1_offset = load_be64(p + V1_L1_OFFSET);
	gate->encrypted = crypt == 1;
	if (crypt > 1)
		return fail(error, -ENOTSUP,
			    "encryption method %u is not supported", crypt);
	if (gate->cluster_bits < GATE_MIN_BITS ||
	    gate->cluster_bits > GATE_MAX_BITS)
		return fail(error, -EINVAL,
			    "header: cluster_bits is %u, must be %d to %d",
			    gate->cluster_bits, GATE_MIN_BITS, GATE_MAX_BITS);
	if (gate->l2_bits > GATE_MAX_BITS)
		return fail(error, -EINVAL,
			    "header: l2_bits is %u, must be at most %d",
			    gate->l2_bits, GATE_MAX_BITS);
	l1_size = div_round_up(gate->size,
			       1ull << (gate->cluster_bits + gate->l2_bits));
	gate->l1_size = min_u64(l1_size, UINT32_MAX);
	return 0;
}

static int check_v1(const struct gate *gate, struct qcow_error *error)
{
	if (gate->version != 1 || gate->l2_bits + 3 == gate->cluster_bits)
		return 0;
	return fail(
		error, -ENOTSUP,
		"its L2 tables are not as large as its clusters (l2_bits %u, cluster_bits %u), which is not supported" CONVERT,
		gate->l2_bits, gate->cluster_bits);
}

static int parse_v2(const uint8_t *p, struct gate *gate,
		    struct qcow_error *error)
{
	uint64_t needed;

	gate->cluster_bits = load_be32(p + HEADER_CLUSTER_BITS);
	gate->size = load_be64(p + HEADER_SIZE);
	gate->l1_offset = load_be64(p + HEADER_L1_OFFSET);
	gate->l1_size = load_be32(p + HEADER_L1_SIZE);
	gate->encrypted = load_be32(p + HEADER_CRYPT_METHOD) == 1;
	if (!gate->encrypted)
		return fail(
			error, -ENOTSUP,
			"qcow2 version 2 without AES encryption is not a legacy image");
	if (gate->cluster_bits < GATE_MIN_BITS ||
	    gate->cluster_bits > GATE_MAX_BITS)
		return fail(
			error, -ENOTSUP,
			"AES encryption with cluster_bits %u is not supported (%d to %d are)" CONVERT,
			gate->cluster_bits, GATE_MIN_BITS, GATE_MAX_BITS);
	needed = div_round_up(gate->size, 1ull << (2 * gate->cluster_bits - 3));
	if (gate->l1_size < needed)
		return fail(
			error, -EINVAL,
			"L1 table is too small: %u entries, the size needs %llu",
			gate->l1_size, (unsigned long long)needed);
	return 0;
}

static int check_fields(const struct gate *gate, struct qcow_error *error)
{
	uint64_t l1_length = gate->l1_size * 8ull;

	if (gate->backing_offset)
		return fail(
			error, -ENOTSUP,
			"legacy images with a backing file are not supported" CONVERT);
	if (gate->size < QCOW_SECTOR)
		return fail(error, -EINVAL, "its virtual size is zero");
	if (gate->size > INT64_MAX)
		return fail(error, -EINVAL, "its virtual size is too large");
	if (l1_length > MAX_L1_BYTES)
		return fail(error, -EINVAL, "L1 table: %u entries are too many",
			    gate->l1_size);
	if (gate->l1_offset < V1_LENGTH)
		return fail(error, -EINVAL, "L1 table overlaps the header");
	if (gate->l1_offset > gate->file_size ||
	    l1_length > gate->file_size - gate->l1_offset)
		return fail(
			error, -EINVAL,
			"L1 table: offset %#llx, length %llu lies outside the file; the image is truncated or corrupt",
			(unsigned long long)gate->l1_offset,
			(unsigned long long)l1_length);
	return 0;
}

static int parse(const uint8_t *p, struct gate *gate, struct qcow_error *error)
{
	gate->version = load_be32(p + HEADER_VERSION);
	gate->backing_offset = load_be64(p + HEADER_BACKING_OFFSET);
	gate->backing_size = load_be32(p + HEADER_BACKING_SIZE);
	if (load_be32(p + HEADER_MAGIC) != QCOW_MAGIC)
		return fail(
			error, -EINVAL,
			"not a QCOW image (no magic number at its beginning)");
	if (gate->version == 1)
		return parse_v1(p, gate, error);
	if (gate->version == 2)
		return parse_v2(p, gate, error);
	return fail(error, -ENOTSUP, "qcow version %u is not a legacy image",
		    gate->version);
}

int gate_look(struct file *file, struct gate *gate, struct qcow_error *error)
{
	struct piece piece;
	int ret = file_size(file, &gate->file_size);

	if (!ret)
		ret = read_piece(file, 0, HEADER_V2_LENGTH, &piece);
	if (ret)
		return fail(error, ret, "reading the header: %s",
			    strerror(-ret));
	ret = parse(piece.bytes, gate, error);
	free(piece.buffer);
	return ret;
}

static int check_header(struct file *file, struct gate *gate,
			struct qcow_error *error)
{
	int ret = gate_look(file, gate, error);

	if (!ret)
		ret = check_v1(gate, error);
	return ret ? ret : check_fields(gate, error);
}

/* ---- the tables ---- */

/* Where an L2 entry's bytes are, and how many. */
struct target {
	bool compressed;
	bool malformed; /* bits that nobody defined */
	uint64_t offset;
	uint64_t length;
};

static struct target target_of(const struct gate *gate, uint64_t entry)
{
	uint64_t size = 1ull << gate->cluster_bits;
	uint32_t shift = 63 - gate->cluster_bits;
	struct target target = { .offset = entry, .length = size };

	if (gate->version == 2) {
		target.compressed = entry & ENTRY_COMPRESSED;
		target.malformed = entry & ~(ENTRY_OFFSET | ENTRY_COPIED);
		target.offset = entry & ENTRY_OFFSET;
	} else if (entry & V1_COMPRESSED) {
		target.compressed = true;
		target.offset = entry & ((1ull << shift) - 1);
		target.length = (entry >> shift) & (size - 1);
	}
	return target;
}

/* The fault of a cluster, or NULL. */
static const char *judge_target(const struct gate *gate,
				const struct target *target)
{
	if (target->compressed && gate->encrypted)
		return "is compressed and encrypted, which is not supported";
	if (target->compressed && !target->length)
		return "is compressed to no bytes at all; the image is corrupt";
	if (target->malformed ||
	    (!target->compressed &&
	     (!target->offset ||
	      !is_aligned(target->offset, 1ull << gate->cluster_bits))))
		return "is malformed; the image is corrupt";
	if (target->compressed && target->offset < V1_LENGTH)
		return "overlaps the header; the image is corrupt";
	if (target->offset > gate->file_size ||
	    target->length > gate->file_size - target->offset)
		return "does not lie wholly inside the file; the image is truncated or corrupt";
	return NULL;
}

static int check_entries(const struct gate *gate, uint64_t table,
			 const uint8_t *entries, struct qcow_error *error)
{
	uint64_t count = 1ull << (gate->cluster_bits - 3);

	for (uint64_t i = 0; i < count; i++) {
		uint64_t entry = load_be64(entries + i * 8);
		struct target target = target_of(gate, entry);
		const char *why = NULL;

		if (entry)
			why = judge_target(gate, &target);
		if (why)
			return fail(error, -EINVAL,
				    "guest cluster %llu (L2 entry %#llx) %s",
				    (unsigned long long)(table * count + i),
				    (unsigned long long)entry, why);
	}
	return 0;
}

/* The L2 table of an index. */
static int check_table(struct file *file, const struct gate *gate,
		       uint64_t index, uint64_t entry, struct qcow_error *error)
{
	uint64_t size = 1ull << gate->cluster_bits;
	uint64_t offset = gate->version == 2 ? entry & ~ENTRY_COPIED : entry;
	struct piece piece;
	int ret;

	if (!is_aligned(offset, size) || !offset || offset > gate->file_size ||
	    size > gate->file_size - offset)
		return fail(
			error, -EINVAL,
			"L2 table of index %llu (entry %#llx) is malformed or lies outside the file; the image is truncated or corrupt",
			(unsigned long long)index, (unsigned long long)entry);
	ret = read_piece(file, offset, size, &piece);
	if (ret)
		return fail(error, ret, "reading an L2 table: %s",
			    strerror(-ret));
	ret = check_entries(gate, index, piece.bytes, error);
	free(piece.buffer);
	return ret;
}

/* If each table has a place of its own, there are no more than the file can
   hold; but a file with holes can hold tables that would take minutes to
   read. */
static int refuse_tables(const struct gate *gate, struct qcow_error *error)
{
	if (gate->file_size < MAX_TABLE_BYTES)
		return fail(error, -EINVAL,
			    "L2 tables overlap; the image is corrupt");
	return fail(
		error, -ENOTSUP,
		"its L2 tables take more than %llu MiB, which is not supported" CONVERT,
		MAX_TABLE_BYTES >> 20);
}

static int check_tables(struct file *file, const struct gate *gate,
			const uint8_t *l1, struct qcow_error *error)
{
	uint64_t room = min_u64(gate->file_size, MAX_TABLE_BYTES) >>
			gate->cluster_bits;
	int ret = 0;

	for (uint32_t i = 0; i < gate->l1_size && !ret; i++) {
		uint64_t entry = load_be64(l1 + i * 8ull);

		if (!entry)
			continue;
		if (!room--)
			return refuse_tables(gate, error);
		ret = check_table(file, gate, i, entry, error);
	}
	return ret;
}

int gate_check(struct file *file, struct gate *gate, struct qcow_error *error)
{
	struct piece l1;
	int ret = check_header(file, gate, error);

	if (ret)
		return ret;
	ret = read_piece(file, gate->l1_offset, gate->l1_size * 8ull, &l1);
	if (ret)
		return fail(error, ret, "reading the L1 table: %s",
			    strerror(-ret));
	ret = check_tables(file, gate, l1.bytes, error);
	free(l1.buffer);
	return ret;
}
