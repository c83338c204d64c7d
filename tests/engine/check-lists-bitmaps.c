// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Ways to break a bitmap directory, its extension and its tables.
 */
#include "tests/engine/check-lists.h"
#include "tests/lib/helpers.h"
#include "qcow/bits.h"
#include "qcow/format.h"

static uint8_t *extension(struct image *image)
{
	uint8_t *at = image->bytes + load_be32(image->bytes + HEADER_LENGTH);

	while (load_be32(at) != EXTENSION_BITMAPS)
		at += 8 + round_up(load_be32(at + 4), 8);
	return at;
}

static uint8_t *directory(struct image *image)
{
	return image->bytes + load_be64(extension(image) + 24);
}

static void change_64(uint8_t *at, uint64_t set)
{
	store_be64(at, load_be64(at) | set);
}

static void directory_beyond(struct image *image)
{
	change_64(extension(image) + 24, 1ull << 40);
}

static void directory_unaligned(struct image *image)
{
	change_64(extension(image) + 24, 512);
}

static void directory_too_long(struct image *image)
{
	uint8_t *size = extension(image) + 16;

	store_be64(size, load_be64(size) + 8);
}

static void extension_too_long(struct image *image)
{
	store_be32(extension(image) + 4, 32);
}

static void reserved_in_extension(struct image *image)
{
	store_be32(extension(image) + 12, 1);
}

static void one_bitmap_too_few(struct image *image)
{
	store_be32(extension(image) + 8, 1);
}

static void one_bitmap_too_many(struct image *image)
{
	store_be32(extension(image) + 8, 3);
}

static void no_bitmap(struct image *image)
{
	store_be32(extension(image) + 8, 0);
}

static void table_beyond(struct image *image)
{
	change_64(directory(image), 1ull << 40);
}

static void table_unaligned(struct image *image)
{
	change_64(directory(image), 512);
}

static void table_empty(struct image *image)
{
	store_be32(directory(image) + 8, 0);
}

static void table_too_large(struct image *image)
{
	store_be32(directory(image) + 8, 0x08000001);
}

static void type_unknown(struct image *image)
{
	directory(image)[16] = 2;
}

static void granularity_too_small(struct image *image)
{
	directory(image)[17] = 8;
}

static void granularity_too_large(struct image *image)
{
	directory(image)[17] = 32;
}

static void reserved_flag(struct image *image)
{
	directory(image)[15] |= 4;
}

static void no_name(struct image *image)
{
	directory(image)[18] = directory(image)[19] = 0;
}

static void too_short_for_disk(struct image *image)
{
	/* One cluster of bits, 512 bytes each. */
	directory(image)[17] = 9;
	store_be64(image->bytes + HEADER_SIZE, 300u << 20);
}

static void too_long_for_disk(struct image *image)
{
	store_be32(directory(image) + 8, 2);
}

static void entry_malformed(struct image *image)
{
	store_be64(image->bytes + load_be64(directory(image)), 0xdead);
}

static void entry_beyond(struct image *image)
{
	store_be64(image->bytes + load_be64(directory(image)), 1ull << 40);
}

const struct row bitmap_rows[] = {
	{ "directory beyond the file", directory_beyond, .bitmaps = true },
	{ "directory unaligned", directory_unaligned, .bitmaps = true },
	{ "directory too long", directory_too_long, .bitmaps = true },
	{ "extension too long", extension_too_long, .bitmaps = true },
	{ "reserved bits in the extension", reserved_in_extension,
	  .bitmaps = true },
	{ "one bitmap too few", one_bitmap_too_few, .bitmaps = true },
	{ "one bitmap too many", one_bitmap_too_many, .bitmaps = true },
	{ "no bitmap", no_bitmap, .bitmaps = true },
	{ "table beyond the file", table_beyond, .bitmaps = true },
	{ "table unaligned", table_unaligned, .bitmaps = true },
	{ "table empty", table_empty, .bitmaps = true },
	{ "table too large", table_too_large, .bitmaps = true },
	{ "unknown type", type_unknown, .bitmaps = true },
	{ "granularity too small", granularity_too_small, .bitmaps = true },
	{ "granularity too large", granularity_too_large, .bitmaps = true },
	{ "reserved flag", reserved_flag, .bitmaps = true },
	{ "no name", no_name, .bitmaps = true },
	{ "too short for the disk", too_short_for_disk, .bitmaps = true },
	{ "too long for the disk", too_long_for_disk, .bitmaps = true },
	{ "table entry malformed", entry_malformed, .bitmaps = true },
	{ "table entry beyond the file", entry_beyond, .bitmaps = true },
};
const unsigned int nr_bitmap_rows = ARRAY_SIZE(bitmap_rows);
