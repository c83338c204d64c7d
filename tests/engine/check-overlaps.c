// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A repair of an image in which a table lies over another table or over data.
 *
 * The entries of an L1 or L2 table mean nothing there, so not a byte may
 * change.  Refcounts can be made anew in another place.  So a repair of
 * everything leaves a sound image, and no repair writes counts, or where they
 * are, over the guest's bytes.
 */
#include <stdlib.h>
#include <string.h>
#include "tests/lib/helpers.h"
#include "tests/lib/places.h"
#include "tests/lib/qemu-check.h"
#include "qcow/bits.h"
#include "qcow/format.h"

static char *sound;

/* The data is noise, which could be any entry if it is taken for a table. */
static void make_sound(void)
{
	char *noise = scratch_path("noise");

	sound = scratch_path("sound");
	must_run("head -c 64k /dev/urandom >%s", noise);
	must_run(
		"qemu-img create -q -f qcow2 -o cluster_size=4k %s 8M && qemu-io -c 'write -q -s %s 0 20k' -c 'write -q 4M 9k' %s",
		sound, noise, sound);
	free(noise);
}

static void l2_in_l1(uint8_t *bytes)
{
	store_be64(place_l1(bytes) + 8,
		   load_be64(bytes + HEADER_L1_OFFSET) | ENTRY_COPIED);
}

static void l2_in_refcount_table(uint8_t *bytes)
{
	store_be64(place_l1(bytes) + 8,
		   load_be64(bytes + HEADER_REFCOUNT_TABLE_OFFSET));
}

static void snapshots_in_l1(uint8_t *bytes)
{
	store_be64(place_l1(bytes) + 8, 1);
	store_be64(bytes + HEADER_SNAPSHOTS_OFFSET,
		   load_be64(bytes + HEADER_L1_OFFSET));
	store_be32(bytes + HEADER_NB_SNAPSHOTS, 1);
}

static void l2_in_noise(uint8_t *bytes)
{
	store_be64(place_l1(bytes) + 8, place_data(bytes) | ENTRY_COPIED);
}

/* The noise gets no COPIED flag.  A repair takes that flag off an entry that
   leads nowhere, as QEMU does, whatever else is wrong. */
static void l1_in_noise(uint8_t *bytes)
{
	uint8_t *noise = bytes + place_data(bytes);

	for (uint32_t i = 0; i < 8; i++)
		store_be64(noise + i * 8,
			   load_be64(noise + i * 8) & ~ENTRY_COPIED);
	store_be64(bytes + HEADER_L1_OFFSET, place_data(bytes));
}

static const struct {
	const char *name;
	void (*poke)(uint8_t *bytes);
} rows[] = {
	{ "L2 table in the L1 table", l2_in_l1 },
	{ "L2 table in the refcount table", l2_in_refcount_table },
	{ "snapshot table in the L1 table", snapshots_in_l1 },
	{ "L2 table in data", l2_in_noise },
	{ "L1 table in data", l1_in_noise },
};

static void test_overlap(unsigned int n)
{
	const char *name = rows[n].name;
	char *path = scratch_path("image");
	struct qcow_check result;
	size_t size, size_after;
	uint8_t *bytes = read_file(sound, &size), *after;

	rows[n].poke(bytes);
	write_file(path, bytes, size);
	if (check_ours(path, QCOW_REPAIR_ALL, 0, &result) != STATUS_CORRUPT)
		die("%s: repaired", name);
	after = read_file(path, &size_after);
	if (size != size_after || memcmp(bytes, after, size))
		die("%s: the image was changed", name);
	free(after);
	free(bytes);
	free(path);
}

/* ---- refcounts over data ---- */

static void refcount_table_in_noise(uint8_t *bytes)
{
	store_be64(bytes + HEADER_REFCOUNT_TABLE_OFFSET, place_data(bytes));
}

static void block_in_noise(uint8_t *bytes)
{
	store_be64(bytes + load_be64(bytes + HEADER_REFCOUNT_TABLE_OFFSET),
		   place_data(bytes));
}

static void data_in_refcount_table(uint8_t *bytes)
{
	store_be64(place_l2(bytes) + 7 * 8,
		   load_be64(bytes + HEADER_REFCOUNT_TABLE_OFFSET));
}

static const struct {
	const char *name;
	void (*poke)(uint8_t *bytes);
} refcounts[] = {
	{ "refcount table in data", refcount_table_in_noise },
	{ "refcount block in data", block_in_noise },
	{ "data in the refcount table", data_in_refcount_table },
};

/* From now on, the image must read as it does. */
static void keep_disk(const char *path)
{
	must_run("qemu-img convert -f qcow2 -O raw %s %s.raw", path, path);
}

static void compare_disk(const char *path, const char *name, const char *when)
{
	if (run("qemu-img compare -q -f qcow2 -F raw %s %s.raw", path, path))
		die("%s: the disk has changed after a repair of %s", name,
		    when);
}

static void test_refcounts(unsigned int n)
{
	const char *name = refcounts[n].name;
	char *path = scratch_path("image");
	struct qcow_check result;
	size_t size;
	uint8_t *bytes = read_file(sound, &size);

	refcounts[n].poke(bytes);
	write_file(path, bytes, size);
	keep_disk(path);
	check_ours(path, QCOW_REPAIR_LEAKS, 0, &result);
	compare_disk(path, name, "leaks");
	write_file(path, bytes, size);
	if (check_ours(path, QCOW_REPAIR_ALL, 0, &result) != STATUS_SOUND)
		die("%s: not repaired", name);
	compare_disk(path, name, "everything");
	if (run("qemu-img check -q %s", path))
		die("%s: qemu-img check finds errors", name);
	free(bytes);
	free(path);
}

int main(void)
{
	make_sound();
	for (unsigned int n = 0; n < ARRAY_SIZE(refcounts); n++)
		test_refcounts(n);
	for (unsigned int n = 0; n < ARRAY_SIZE(rows); n++)
		test_overlap(n);
	free(sound);
	return 0;
}
