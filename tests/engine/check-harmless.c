// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Clusters that a repair must leave alone.
 *
 * The walk of a repair may lose its way at a broken field.  Then the clusters
 * that it did not find may still be in use, so it must lower no refcount.  The
 * test puts the broken field back by hand.  The image is sound again then, but
 * for leaks, and everything in it is the same as before.
 *
 * usage: check-harmless
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "tests/lib/helpers.h"
#include "tests/lib/judge.h"
#include "qcow/bits.h"
#include "qcow/format.h"
#include "tests/lib/qemu-check.h"

#define CLUSTER 4096u

static unsigned int cases;

/* ---- sound images ---- */

enum recipe {
	PLAIN,
	SNAPSHOT,
	SUBCLUSTERS,
	BITMAP,
	LUKS,
	RECIPES,
};

/* Commands of the shell; $i is the image, $d a file of noise beside it. */
static const char *const recipes[RECIPES] = {
	[PLAIN] = "qemu-img create -q -f qcow2 -o cluster_size=4k $i 8M;"
		  "qemu-io -c \"write -q -s $d 0 20k\" -c 'write -q 4M 9k' $i",
	[SNAPSHOT] = "qemu-img create -q -f qcow2 -o cluster_size=4k $i 4M;"
		     "qemu-io -c \"write -q -s $d 0 20k\" $i;"
		     "qemu-img snapshot -c a $i; qemu-io -c 'write -q 0 9k' $i;"
		     "qemu-img snapshot -c b $i; qemu-io -c 'write -q 0 1k' $i",
	[SUBCLUSTERS] = "qemu-img create -q -f qcow2 "
			"-o cluster_size=16k,extended_l2=on $i 8M;"
			"qemu-io -c \"write -q -s $d 0 20k\" $i",
	[BITMAP] = "qemu-img create -q -f qcow2 -o cluster_size=4k $i 4M;"
		   "qemu-img bitmap --add -g 512 $i a;"
		   "qemu-io -c 'write -q 0 20k' $i",
	[LUKS] = MAKE_LUKS("cluster_size=4k", "4M", "write -q 0 20k"),
};

static char *sound[RECIPES];

static void make_sound(void)
{
	char *noise = scratch_path("noise");

	must_run("head -c 64k /dev/urandom >%s", noise);
	for (unsigned int r = 0; r < RECIPES; r++) {
		char name[16];

		snprintf(name, sizeof(name), "sound.%u", r);
		sound[r] = scratch_path(name);
		must_run("i=%s d=%s; %s", sound[r], noise, recipes[r]);
	}
	free(noise);
}

/* ---- places in an image ---- */

typedef uint64_t place(const uint8_t *bytes);

static uint64_t header(const uint8_t *bytes)
{
	(void)bytes;
	return 0;
}

static uint64_t l1(const uint8_t *bytes)
{
	return load_be64(bytes + HEADER_L1_OFFSET);
}

static uint64_t l2(const uint8_t *bytes)
{
	return load_be64(bytes + l1(bytes)) & ENTRY_OFFSET;
}

static uint64_t snapshots(const uint8_t *bytes)
{
	return load_be64(bytes + HEADER_SNAPSHOTS_OFFSET);
}

static uint64_t snapshot_l1(const uint8_t *bytes)
{
	return load_be64(bytes + snapshots(bytes));
}

static uint64_t snapshot_l2(const uint8_t *bytes)
{
	return load_be64(bytes + snapshot_l1(bytes)) & ENTRY_OFFSET;
}

static uint64_t extension(const uint8_t *bytes, uint32_t type)
{
	uint64_t at = load_be32(bytes + HEADER_LENGTH);

	while (load_be32(bytes + at) != type) {
		if (at > CLUSTER - 8 || !load_be32(bytes + at))
			die("no extension %#x", type);
		at += 8 + round_up(load_be32(bytes + at + 4), 8);
	}
	return at;
}

static uint64_t encryption(const uint8_t *bytes)
{
	return extension(bytes, EXTENSION_ENCRYPTION);
}

static uint64_t bitmaps(const uint8_t *bytes)
{
	return extension(bytes, EXTENSION_BITMAPS);
}

static uint64_t directory(const uint8_t *bytes)
{
	return load_be64(bytes + bitmaps(bytes) + 8 + 16);
}

static uint64_t bitmap_table(const uint8_t *bytes)
{
	return load_be64(bytes + directory(bytes));
}

/* ---- walks that lose their way ---- */

enum mode {
	BOTH,
	LEAKS_ONLY, /* -r all gives bitmaps up that cannot be read */
};

static const struct row {
	const char *name;
	enum recipe recipe;
	place *place;
	unsigned int field, width; /* bytes, from there */
	uint64_t clear, set;	   /* bits */
	enum mode mode;
} rows[] = {
	{ "data unaligned", PLAIN, l2, 0, 8, 0, 512, BOTH },
	{ "data beyond the file", PLAIN, l2, 0, 8, 0, 1ull << 40, BOTH },
	{ "data far beyond", PLAIN, l2, 8, 8, 0, 1ull << 55, BOTH },
	{ "stream beyond the file", PLAIN, l2, 8, 8, ENTRY_COPIED,
	  ENTRY_COMPRESSED | 1ull << 45, BOTH },
	{ "L2 table unaligned", PLAIN, l1, 0, 8, 0, 512, BOTH },
	{ "L2 table beyond the file", PLAIN, l1, 8, 8, 0, 1ull << 45, BOTH },
	{ "subclusters unaligned", SUBCLUSTERS, l2, 0, 8, 0, 4096, BOTH },
	{ "subclusters beyond the file", SUBCLUSTERS, l2, 16, 8, 0, 1ull << 50,
	  BOTH },
	{ "L1 table beyond the file", SNAPSHOT, header, HEADER_L1_OFFSET, 8, 0,
	  1ull << 40, BOTH },
	{ "L1 table in the header", PLAIN, header, HEADER_L1_OFFSET, 8, -1ull,
	  0, BOTH },
	{ "a snapshot's data unaligned", SNAPSHOT, snapshot_l2, 32, 8, 0, 512,
	  BOTH },
	{ "a snapshot's L2 table unaligned", SNAPSHOT, snapshot_l1, 0, 8, 0,
	  512, BOTH },
	{ "a snapshot's L1 table unaligned", SNAPSHOT, snapshots, 0, 8, 0, 512,
	  BOTH },
	{ "a snapshot's L1 table beyond the file", SNAPSHOT, snapshots, 0, 8, 0,
	  1ull << 40, BOTH },
	{ "a snapshot's L1 table too large", SNAPSHOT, snapshots, 8, 4, 0,
	  1u << 23, BOTH },
	{ "a snapshot's name too long", SNAPSHOT, snapshots, 12, 4, 0, 0xffff,
	  BOTH },
	{ "a snapshot's extra data of 2 GiB", SNAPSHOT, snapshots, 36, 4, 0,
	  1u << 31, BOTH },
	{ "snapshot table unaligned", SNAPSHOT, header, HEADER_SNAPSHOTS_OFFSET,
	  8, 0, 8, BOTH },
	{ "snapshot table beyond the file", SNAPSHOT, header,
	  HEADER_SNAPSHOTS_OFFSET, 8, 0, 1ull << 40, BOTH },
	{ "2^30 snapshots", SNAPSHOT, header, HEADER_NB_SNAPSHOTS, 4, 0,
	  1u << 30, BOTH },
	{ "encryption header unaligned", LUKS, encryption, 8, 8, 0, 512, BOTH },
	{ "encryption header beyond the file", LUKS, encryption, 8, 8, 0,
	  1ull << 40, BOTH },
	{ "encryption header too long", LUKS, encryption, 16, 8, 0, 1ull << 30,
	  BOTH },
	{ "encryption extension too short", LUKS, encryption, 4, 4, 16, 8,
	  BOTH },
	{ "encryption extension of another type", LUKS, encryption, 0, 4, 0, 8,
	  BOTH },
	{ "bitmap directory beyond the file", BITMAP, bitmaps, 24, 8, 0,
	  1ull << 40, LEAKS_ONLY },
	{ "bitmap extension too short", BITMAP, bitmaps, 4, 4, 8, 0,
	  LEAKS_ONLY },
	{ "no bitmap", BITMAP, bitmaps, 8, 4, 1, 0, LEAKS_ONLY },
	{ "bitmap's table beyond the file", BITMAP, directory, 0, 8, 0,
	  1ull << 40, LEAKS_ONLY },
	{ "bitmap's table empty", BITMAP, directory, 8, 4, 0xff, 0,
	  LEAKS_ONLY },
	{ "bitmap's data unaligned", BITMAP, bitmap_table, 0, 8, 1, 512,
	  LEAKS_ONLY },
	{ "bitmap's data beyond the file", BITMAP, bitmap_table, 0, 8, 1,
	  1ull << 40, LEAKS_ONLY },
};

static void poke(uint8_t *at, unsigned int width, uint64_t clear, uint64_t set)
{
	if (width == 8)
		store_be64(at, (load_be64(at) & ~clear) | set);
	else
		store_be32(at, (load_be32(at) & ~clear) | set);
}

/* Every cluster that was counted is still counted. */
static void expect_not_lowered(const char *name, const uint8_t *before,
			       size_t size, const char *path)
{
	size_t size_after;
	uint8_t *after = read_file(path, &size_after);
	uint32_t cluster_bits = load_be32(before + HEADER_CLUSTER_BITS);

	for (uint64_t c = 0; c << cluster_bits < size; c++)
		if (judge_count(after, size_after, c) <
		    judge_count(before, size, c))
			die("%s: the count of cluster %lu was lowered", name,
			    c);
	free(after);
}

static void expect_same_snapshot(const struct row *row, const char *path,
				 const char *id)
{
	char *raw = scratch_path("raw");

	must_run("qemu-img convert -l %s -O raw %s %s.1", id,
		 sound[row->recipe], raw);
	must_run("qemu-img convert -l %s -O raw %s %s.2", id, path, raw);
	if (run("cmp %s.1 %s.2", raw, raw))
		die("%s: snapshot %s is another", row->name, id);
	free(raw);
}

static void expect_same(const struct row *row, const char *path)
{
	if (row->recipe == LUKS) {
		if (run("cmp %s %s", sound[LUKS], path))
			die("%s: the image is another", row->name);
		return;
	}
	if (run("qemu-img compare -q %s %s", sound[row->recipe], path))
		die("%s: the disk is another", row->name);
	if (row->recipe != SNAPSHOT)
		return;
	expect_same_snapshot(row, path, "a");
	expect_same_snapshot(row, path, "b");
}

/* Puts the broken field back, as the image's owner might. */
static void put_back(const struct row *row, const char *path)
{
	size_t size, sound_size;
	uint8_t *bytes = read_file(path, &size);
	uint8_t *good = read_file(sound[row->recipe], &sound_size);
	uint64_t at = row->place(good) + row->field;

	memcpy(bytes + at, good + at, row->width);
	write_file(path, bytes, size);
	free(bytes);
	free(good);
}

static void test_row(const struct row *row, enum qcow_repair repair)
{
	char *path = scratch_path("image");
	struct qcow_check result;
	size_t size;
	uint8_t *bytes = read_file(sound[row->recipe], &size);
	int status;

	poke(bytes + row->place(bytes) + row->field, row->width, row->clear,
	     row->set);
	write_file(path, bytes, size);
	if (check_ours(path, QCOW_REPAIR_NONE, 0, &result) != STATUS_CORRUPT)
		die("%s: found sound", row->name);
	if (check_ours(path, repair, 0, &result) != STATUS_CORRUPT)
		die("%s: said to be whole after the repair", row->name);
	expect_not_lowered(row->name, bytes, size, path);
	put_back(row, path);
	status = check_theirs(path, "");
	if (status != STATUS_SOUND && status != STATUS_LEAKS)
		die("%s: %d for qemu-img after the field was put back",
		    row->name, status);
	expect_same(row, path);
	cases++;
	free(bytes);
	free(path);
}

/* A refcount that cannot be as high as it should be stays.  The check must not
   ask for COPIED flags, which would be a lie. */
static void test_saturated(void)
{
	char *path = scratch_path("image");
	struct qcow_check before, after;
	size_t size;
	uint8_t *bytes;

	must_run(
		"qemu-img create -q -f qcow2 -o cluster_size=512,refcount_bits=1 %s 64k && qemu-io -c 'write -q 0 4k' %s",
		path, path);
	bytes = read_file(path, &size);
	for (unsigned int i = 8; i < 24; i++)
		store_be64(bytes + l2(bytes) + i * 8,
			   load_be64(bytes + l2(bytes) + i % 8 * 8) &
				   ~ENTRY_COPIED);
	write_file(path, bytes, size);
	check_ours(path, QCOW_REPAIR_NONE, 0, &before);
	check_ours(path, QCOW_REPAIR_ALL, 0, &after);
	if (before.corruptions != 8 || after.corruptions > before.corruptions)
		die("saturated: %lu corruptions, %lu after the repair",
		    before.corruptions, after.corruptions);
	cases++;
	free(bytes);
	free(path);
}

int main(void)
{
	make_sound();
	for (unsigned int i = 0; i < ARRAY_SIZE(rows); i++) {
		test_row(&rows[i], QCOW_REPAIR_LEAKS);
		if (rows[i].mode == BOTH)
			test_row(&rows[i], QCOW_REPAIR_ALL);
	}
	test_saturated();
	printf("%u images left alone\n", cases);
	for (unsigned int r = 0; r < RECIPES; r++)
		free(sound[r]);
	return 0;
}
