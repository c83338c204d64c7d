// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Snapshot tables and bitmap directories that no reader takes.  After a repair
 * of everything, qemu-img opens the image and finds it sound.  The disk is the
 * same.  The snapshots are the same, but for those beyond the limit.  Broken
 * bitmaps are gone.  A check alone, or a repair of leaks, changes nothing.
 *
 * usage: check-lists
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "tests/engine/check-lists.h"
#include "tests/lib/helpers.h"
#include "qcow/bits.h"
#include "qcow/format.h"
#include "tests/lib/qemu-check.h"

static unsigned int cases;

/* ---- snapshot tables ---- */

static uint64_t table_of(const struct image *image)
{
	return load_be64(image->bytes + HEADER_SNAPSHOTS_OFFSET);
}

/* Puts an entry with so much extra data to a place, and returns its end.  The
   old extra data is kept as far as there is any; the rest is noise. */
static uint64_t put_entry(uint8_t *to, uint64_t at, const uint8_t *old,
			  uint32_t extra)
{
	uint32_t had = load_be32(old + EXTRA_LENGTH);
	uint32_t names = load_be16(old + ID_LENGTH) +
			 load_be16(old + NAME_LENGTH);

	memcpy(to + at, old, HEAD);
	store_be32(to + at + EXTRA_LENGTH, extra);
	memset(to + at + HEAD, 0xee, extra);
	memcpy(to + at + HEAD, old + HEAD, min_u64(had, extra));
	memcpy(to + at + HEAD + extra, old + HEAD + had, names);
	return at + HEAD + extra + names;
}

/* Writes the table again, in its cluster, with other extra data. */
static void rewrite(struct image *image, uint32_t extra_of_first,
		    uint32_t extra_of_second)
{
	const uint32_t extra[] = { extra_of_first, extra_of_second };
	uint8_t *table = image->bytes + table_of(image);
	uint8_t *old = malloc(CLUSTER);
	uint64_t from = 0, to = 0;

	memcpy(old, table, CLUSTER);
	memset(table, 0, CLUSTER);
	for (unsigned int i = 0; i < 2; i++) {
		const uint8_t *e = old + from;

		from = round_up(from + HEAD + load_be32(e + EXTRA_LENGTH) +
					load_be16(e + ID_LENGTH) +
					load_be16(e + NAME_LENGTH),
				8);
		to = round_up(put_entry(table, to, e, extra[i]), 8);
	}
	free(old);
}

static void no_extra(struct image *image)
{
	rewrite(image, 0, 24);
}

static void short_extra(struct image *image)
{
	rewrite(image, 24, 8);
}

static void odd_extra(struct image *image)
{
	rewrite(image, 15, 3);
}

static void long_extra(struct image *image)
{
	rewrite(image, 1025, 24);
}

static void longer_extra(struct image *image)
{
	rewrite(image, 24, 40000);
}

static void mixed_extra(struct image *image)
{
	rewrite(image, 0, 3001);
}

/* Adds counted space behind the end of the file. */
static uint64_t append(struct image *image, uint64_t length)
{
	uint64_t table = load_be64(image->bytes + HEADER_REFCOUNT_TABLE_OFFSET);
	uint64_t block = load_be64(image->bytes + table);
	uint64_t start = round_up(image->size, CLUSTER);
	size_t size = round_up(start + length, CLUSTER);

	image->bytes = realloc(image->bytes, size);
	memset(image->bytes + image->size, 0, size - image->size);
	image->size = size;
	for (uint64_t c = start / CLUSTER; c < size / CLUSTER; c++)
		image->bytes[block + c * 2 + 1] = 1;
	return start;
}

/* The two snapshots of the image, and others that refer to nothing.  Each entry
   needs less than 96 bytes, and its name besides. */
static void put_many(struct image *image, uint32_t count, uint32_t name)
{
	uint64_t old = table_of(image);
	uint64_t start = append(image, count * (96ull + name)), at = start;

	for (uint32_t i = 0; i < count; i++) {
		uint8_t *e;

		at = round_up(at, 8);
		e = image->bytes + at;
		if (i < 2) {
			at = put_entry(image->bytes, at, image->bytes + old,
				       24);
			old = round_up(old + HEAD + 24 +
					       load_be16(e + ID_LENGTH) +
					       load_be16(e + NAME_LENGTH),
				       8);
			continue;
		}
		at += HEAD + NEW_EXTRA +
		      sprintf((char *)e + HEAD + NEW_EXTRA, "%u", i + 1) + name;
		e[ID_LENGTH + 1] = at - name - HEAD - NEW_EXTRA -
				   (e - image->bytes);
		e[NAME_LENGTH] = name >> 8;
		e[NAME_LENGTH + 1] = name;
		store_be32(e + EXTRA_LENGTH, NEW_EXTRA);
	}
	store_be64(image->bytes + HEADER_SNAPSHOTS_OFFSET, start);
	store_be32(image->bytes + HEADER_NB_SNAPSHOTS, count);
}

static void one_too_many(struct image *image)
{
	put_many(image, MANY + 1, 0);
}

static void too_large(struct image *image)
{
	put_many(image, 1100, 65000);
}

/* ---- tests ---- */

static const struct row rows[] = {
	{ "no extra data", no_extra, .cut = false },
	{ "too little extra data", short_extra, .cut = false },
	{ "odd extra data", odd_extra, .cut = false },
	{ "too much extra data", long_extra, .cut = false },
	{ "far too much extra data", longer_extra, .cut = false },
	{ "too little and too much extra data", mixed_extra, .cut = false },
	{ "one snapshot too many", one_too_many, .cut = true, .slow = true },
	{ "snapshot table too large", too_large, .cut = true },
};

static void make_sound(const char *path)
{
	must_run(
		"qemu-img create -q -f qcow2 %s 4M && qemu-io -c 'write -q -P 7 0 200k' %s",
		path, path);
	must_run(
		"qemu-img snapshot -c one %s && qemu-io -c 'write -q -P 8 0 9k' %s",
		path, path);
	must_run(
		"qemu-img snapshot -c two %s && qemu-io -c 'write -q -P 9 0 1k' %s",
		path, path);
	must_run(
		"cp %s %s.bitmaps && qemu-img bitmap --add -g 512 %s.bitmaps a && qemu-img bitmap --add %s.bitmaps b",
		path, path, path, path);
}

static void expect_unchanged(const struct row *row, const char *path,
			     const struct image *image)
{
	size_t size;
	uint8_t *bytes = read_file(path, &size);

	if (size != image->size || memcmp(bytes, image->bytes, size))
		die("%s: changed without need", row->name);
	free(bytes);
}

static void expect_same(const struct row *row, const char *sound,
			const char *path)
{
	char *raw = scratch_path("raw");
	static const char *const sources[] = { "", "-l one", "-l two" };

	for (unsigned int i = 0; i < ARRAY_SIZE(sources); i++) {
		must_run("qemu-img convert %s -O raw %s %s.1", sources[i],
			 sound, raw);
		must_run("qemu-img convert %s -O raw %s %s.2", sources[i], path,
			 raw);
		if (run("cmp -n 4194304 %s.1 %s.2", raw, raw))
			die("%s: it has changed: %s", row->name, sources[i]);
	}
	/* All columns but the instruction counter, which may be left out. */
	must_run(
		"for i in %s %s; do qemu-img snapshot -l $i | awk 'NR < 5 { NF = 7 } 1' | head -n 4 >%s.$(basename $i); done; cmp %s.$(basename %s) %s.image",
		sound, path, raw, raw, sound, raw);
	free(raw);
}

/* QEMU 7.2 spoils an image with a broken list if it opens that image for
   writing.  It must be able to write to the repaired image. */
static void expect_usable(const struct row *row, const char *path)
{
	if (row->bitmaps &&
	    run("qemu-img info %s | grep -q granularity", path) == 0)
		die("%s: there still are bitmaps", row->name);
	if (run("qemu-io -c 'write -q -P 5 1M 64k' %s 2>/dev/null && qemu-img check -q %s 2>/dev/null",
		path, path))
		die("%s: QEMU cannot use it", row->name);
}

static void test_row(const struct row *row, const char *sound, const char *path)
{
	struct qcow_check result;
	struct image image;

	image.bytes = read_file(sound, &image.size);
	row->poke(&image);
	write_file(path, image.bytes, image.size);
	if (check_ours(path, QCOW_REPAIR_NONE, 0, &result) != STATUS_CORRUPT)
		die("%s: found sound", row->name);
	if (!row->slow && check_theirs(path, "") == STATUS_SOUND)
		die("%s: sound for qemu-img", row->name);
	if (check_ours(path, QCOW_REPAIR_LEAKS, 0, &result) != STATUS_CORRUPT)
		die("%s: mended without being asked", row->name);
	expect_unchanged(row, path, &image);
	if (check_ours(path, QCOW_REPAIR_ALL, 0, &result))
		die("%s: not mended", row->name);
	if (check_theirs(path, "") != STATUS_SOUND)
		die("%s: qemu-img finds errors after the repair", row->name);
	if (!row->slow) {
		expect_same(row, sound, path);
		expect_usable(row, path);
	}
	cases++;
	free(image.bytes);
}

/* Checks how many snapshots are left. */
static void expect_many(const char *path)
{
	size_t size;
	uint8_t *bytes = read_file(path, &size);
	uint32_t count = load_be32(bytes + HEADER_NB_SNAPSHOTS);

	if (count != MANY && (count < 1000 || count >= 1100))
		die("%u snapshots are left", count);
	free(bytes);
}

int main(void)
{
	char *sound = scratch_path("sound"), *path = scratch_path("image");
	char *bitmaps = scratch_path("sound.bitmaps");

	make_sound(sound);
	for (unsigned int i = 0; i < ARRAY_SIZE(rows); i++) {
		test_row(&rows[i], sound, path);
		if (rows[i].cut)
			expect_many(path);
	}
	for (unsigned int i = 0; i < nr_bitmap_rows; i++)
		test_row(&bitmap_rows[i], bitmaps, path);
	printf("%u lists mended or given up\n", cases);
	free(bitmaps);
	free(sound);
	free(path);
	return 0;
}
