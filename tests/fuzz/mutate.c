// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Mutates an image where a change matters: a field of the header, or an entry
 * of a table that the header leads to.  The new value is one that an image
 * could hold, or just not.  One time in three libFuzzer mutates bytes as usual.
 */
#include "memory.h"
#include "tests/lib/helpers.h"
#include "qcow/qcow.h"

struct image {
	uint8_t *bytes;
	size_t size;
	uint32_t cluster_bits;
	struct random *random;
};

static uint64_t draw(struct image *image, uint64_t n)
{
	return random_below(image->random, n);
}

/* The offset of a cluster in the file; rarely one just outside. */
static uint64_t draw_offset(struct image *image)
{
	uint64_t clusters = image->size >> image->cluster_bits;

	return draw(image, clusters + 2) << image->cluster_bits;
}

static uint64_t draw_entry(struct image *image, uint64_t old)
{
	switch (draw(image, 8)) {
	case 0:
		return 0;
	case 1:
		return old ^ 1ull << draw(image, 64);
	case 2:
		return draw_offset(image);
	case 3:
		return draw_offset(image) | ENTRY_COPIED | draw(image, 2);
	case 4:
		return ENTRY_COMPRESSED | draw_offset(image) |
		       draw(image, 4) << draw(image, 62);
	case 5:
		return old ^ ENTRY_COPIED;
	case 6:
		return old + (1ull << image->cluster_bits);
	default:
		return random_next(image->random) >> draw(image, 64);
	}
}

static bool holds(const struct image *image, uint64_t offset, size_t length)
{
	return offset < image->size && length <= image->size - offset;
}

static void change_64(struct image *image, uint64_t offset)
{
	if (holds(image, offset, 8))
		store_be64(image->bytes + offset,
			   draw_entry(image, load_be64(image->bytes + offset)));
}

static void change_32(struct image *image, uint64_t offset)
{
	uint32_t old;

	if (!holds(image, offset, 4))
		return;
	old = load_be32(image->bytes + offset);
	switch (draw(image, 4)) {
	case 0:
		old = draw(image, 24);
		break;
	case 1:
		old ^= 1u << draw(image, 32);
		break;
	case 2:
		old += draw(image, 3) - 1;
		break;
	default:
		old = random_next(image->random) >> draw(image, 32);
	}
	store_be32(image->bytes + offset, old);
}

static void change_header(struct image *image)
{
	static const uint8_t words[] = {
		HEADER_VERSION,	     HEADER_BACKING_SIZE,
		HEADER_CLUSTER_BITS, HEADER_CRYPT_METHOD,
		HEADER_L1_SIZE,	     HEADER_REFCOUNT_TABLE_CLUSTERS,
		HEADER_NB_SNAPSHOTS, HEADER_REFCOUNT_ORDER,
		HEADER_LENGTH,	     HEADER_COMPRESSION_TYPE,
	};
	static const uint8_t longs[] = {
		HEADER_BACKING_OFFSET,	 HEADER_SIZE,
		HEADER_L1_OFFSET,	 HEADER_REFCOUNT_TABLE_OFFSET,
		HEADER_SNAPSHOTS_OFFSET, HEADER_INCOMPATIBLE,
		HEADER_COMPATIBLE,	 HEADER_AUTOCLEAR,
	};

	if (draw(image, 2))
		change_32(image, words[draw(image, ARRAY_SIZE(words))]);
	else
		change_64(image, longs[draw(image, ARRAY_SIZE(longs))]);
}

/* The place of a table's entry, mostly one of the first entries, which are
   used. */
static uint64_t draw_place(struct image *image, uint64_t table)
{
	unsigned int most = draw(image, 3) ? 8 : 64;

	return table + 8 * draw(image, most);
}

/* Draws an entry of the table that the header's field leads to; returns the
   offset of the table that the entry names. */
static uint64_t draw_second(struct image *image, unsigned int field)
{
	uint64_t place = draw_place(image, load_be64(image->bytes + field));

	if (!holds(image, place, 8))
		return 0;
	return load_be64(image->bytes + place) & ENTRY_OFFSET;
}

static void change_something(struct image *image)
{
	static const uint8_t tables[] = {
		HEADER_L1_OFFSET,
		HEADER_REFCOUNT_TABLE_OFFSET,
		HEADER_SNAPSHOTS_OFFSET,
	};
	unsigned int field = tables[draw(image, ARRAY_SIZE(tables))];

	switch (draw(image, 5)) {
	case 0:
		change_header(image);
		break;
	case 1:
		change_64(image,
			  draw_place(image, load_be64(image->bytes + field)));
		break;
	case 2:
		change_32(image, HEADER_V3_LENGTH + 4 * draw(image, 32));
		break;
	default:
		change_64(image, draw_place(image, draw_second(image, field)));
	}
}

size_t LLVMFuzzerCustomMutator(uint8_t *bytes, size_t size, size_t max_size,
			       unsigned int seed)
{
	struct random random = { seed };
	struct image image = { bytes, size, 9, &random };

	if (size < 512 || !random_below(&random, 3))
		return LLVMFuzzerMutate(bytes, size, max_size);
	image.cluster_bits = load_be32(bytes + HEADER_CLUSTER_BITS);
	if (image.cluster_bits < MIN_CLUSTER_BITS ||
	    image.cluster_bits > MAX_CLUSTER_BITS)
		image.cluster_bits = 9;
	for (uint64_t n = 1 + random_below(&random, 3); n; n--)
		change_something(&image);
	return size;
}
