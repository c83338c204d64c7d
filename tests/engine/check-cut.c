// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Repairs of files that were cut off.
 *
 * Entries lead behind the end of such a file, and the guest reads zeros there.
 * A repair that needs new tables must not put them in these places: the guest,
 * and each internal snapshot, has the same bytes as before, and qemu-img check
 * finds no corruption.  Nothing is freed, and once the bytes are back that were
 * cut off, all is as before.  A file without its L1 table stays as it is.
 *
 * Refcount blocks are missing in each of the files, so a repair of everything
 * makes new ones.
 *
 * usage: check-cut
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "tests/lib/helpers.h"
#include "tests/lib/qemu-check.h"
#include "qcow/bits.h"
#include "qcow/format.h"

/* Commands of the shell; $i is the image. */
static const struct recipe {
	const char *make;
	uint32_t cluster;
	unsigned int blocks; /* refcount blocks that stay */
} recipes[] = {
	{ "qemu-img create -q -f qcow2 -o cluster_size=4k $i 8M;"
	  "qemu-io -c 'write -q -P 1 0 80k' -c 'write -q -P 2 4M 60k' $i",
	  4096, 0 },
	{ "qemu-img create -q -f qcow2 -o cluster_size=4k,refcount_bits=64 $i 8M;"
	  "for at in 0 4 8 12 16 20 24 28; do"
	  " qemu-io -c \"write -q -c -P $((at + 1)) ${at}k 4k\" $i; done;"
	  "qemu-io -c 'write -q -P 7 4M 20k' $i",
	  4096, 0 },
	{ "qemu-img create -q -f qcow2 -o cluster_size=4k $i 4M;"
	  "qemu-io -c 'write -q -P 1 0 40k' $i; qemu-img snapshot -c a $i;"
	  "qemu-io -c 'write -q -P 2 8k 40k' $i; qemu-img snapshot -c b $i;"
	  "qemu-io -c 'write -q -P 3 16k 40k' $i",
	  4096, 0 },
	/* The L2 table comes last, behind its data. */
	{ "qemu-img create -q -f qcow2 -o cluster_size=512,refcount_bits=64 $i "
	  "30k; qemu-io -c 'write -q -P 1 0 30k' $i; qemu-img snapshot -c a $i;"
	  "qemu-io -c 'write -q -P 2 0 512' $i; qemu-img snapshot -d a $i",
	  512, 1 },
};

static unsigned int cases, unread;

/* Snapshots are named a, b, and so on; NULL is the disk. */
static int copy_out(const char *image, const char *snapshot, const char *to)
{
	return run("qemu-img convert -U %s %s -O raw %s/%s %s/%s 2>/dev/null",
		   snapshot ? "-l" : "", snapshot ? snapshot : "", scratch(),
		   image, scratch(), to);
}

/* Do both have the same bytes?  Not if the first has none to read. */
static bool same_bytes(const char *name, const char *one, const char *other,
		       const char *snapshot)
{
	if (copy_out(one, snapshot, "before")) {
		unread++;
		return false;
	}
	if (copy_out(other, snapshot, "after"))
		die("%s: cannot be read after the repair", name);
	if (run("cmp -s %s/before %s/after", scratch(), scratch()))
		die("%s: %s is not as it is in the file %s", name,
		    snapshot ? snapshot : "the disk", one);
	return true;
}

static bool all_same(const char *name, const char *one, const char *other,
		     const uint8_t *bytes)
{
	uint32_t snapshots = load_be32(bytes + HEADER_NB_SNAPSHOTS);
	bool same = same_bytes(name, one, other, NULL);

	for (uint32_t i = 0; i < snapshots; i++)
		same &= same_bytes(name, one, other,
				   (const char[]){ 'a' + i, 0 });
	return same;
}

static uint64_t first_block(const uint8_t *bytes)
{
	return load_be64(bytes +
			 load_be64(bytes + HEADER_REFCOUNT_TABLE_OFFSET));
}

/* They lie before every cut; of 64 bits each. */
static void expect_counts(const char *name, const struct recipe *recipe,
			  const uint8_t *bytes, const char *image)
{
	uint64_t block = first_block(bytes);
	size_t size;
	uint8_t *after = read_file(image, &size);

	for (uint32_t at = 0; at < recipe->cluster; at += 8)
		if (load_be64(bytes + block + at) &&
		    !load_be64(after + first_block(after) + at))
			die("%s: cluster %u is free now", name, at / 8);
	free(after);
}

/* Once the bytes are back that were cut off, all is as before. */
static void put_back(const char *name, const uint8_t *bytes, size_t cut,
		     size_t whole, const char *image)
{
	FILE *file = fopen(image, "r+");

	if (!file || fseek(file, cut, SEEK_SET) ||
	    fwrite(bytes + cut, 1, whole - cut, file) != whole - cut ||
	    fclose(file))
		die("%s: cannot put the rest back", name);
	all_same(name, "whole", "image", bytes);
}

/* Of the tables with the disk's entries. */
static void find_tables(const uint8_t *bytes, uint64_t *first, uint64_t *last)
{
	const uint8_t *l1 = bytes + load_be64(bytes + HEADER_L1_OFFSET);
	uint32_t size = load_be32(bytes + HEADER_L1_SIZE);

	*first = UINT64_MAX;
	*last = 0;
	for (uint32_t i = 0; i < size; i++) {
		uint64_t table = load_be64(l1 + i * 8ull) & ENTRY_OFFSET;

		if (!table)
			continue;
		*first = min_u64(*first, table);
		*last = max_u64(*last, table);
	}
}

static void judge(const char *name, const struct recipe *recipe,
		  const uint8_t *bytes, size_t cut, size_t whole)
{
	char *image = scratch_path("image");
	struct qcow_check result;
	int status = check_ours(image, QCOW_REPAIR_ALL, 0, &result);
	int theirs = check_theirs(image, "");
	uint64_t first, last;
	bool readable;

	if (status == STATUS_FAILED || theirs == STATUS_FAILED)
		die("%s: the check fails", name);
	if (status == STATUS_SOUND && theirs)
		die("%s: called sound, but qemu-img check: %d", name, theirs);
	readable = all_same(name, "cut", "image", bytes);
	find_tables(bytes, &first, &last);
	/* Of two tables that are lost, one may still be behind the end. */
	if (readable && cut > first && status == STATUS_CORRUPT)
		die("%s: still corrupt", name);
	if (recipe->blocks)
		expect_counts(name, recipe, bytes, image);
	else if (readable && cut > last)
		put_back(name, bytes, cut, whole, image);
	free(image);
	cases++;
}

static void expect_untouched(const char *name, const uint8_t *bytes,
			     size_t size, const char *image)
{
	struct qcow_check result;
	uint8_t *after;
	size_t length;

	if (check_ours(image, QCOW_REPAIR_ALL, 0, &result) != STATUS_CORRUPT)
		die("%s: without its L1 table, and not corrupt", name);
	after = read_file(image, &length);
	if (length != size || memcmp(bytes, after, size))
		die("%s: without its L1 table, and something is written", name);
	free(after);
	cases++;
}

static bool has_l1(const struct recipe *recipe, const uint8_t *bytes,
		   size_t size)
{
	return load_be64(bytes + HEADER_L1_OFFSET) +
		       load_be32(bytes + HEADER_L1_SIZE) * 8ull <=
	       round_up(size, recipe->cluster);
}

static void test(const struct recipe *recipe, uint8_t *bytes, size_t whole)
{
	char *cut = scratch_path("cut"), *image = scratch_path("image");
	uint64_t table = load_be64(bytes + HEADER_REFCOUNT_TABLE_OFFSET);
	uint64_t end = table + 2 * recipe->cluster;
	size_t step = recipe->cluster / 2;
	char name[64];

	memset(bytes + table + 8 * recipe->blocks, 0,
	       recipe->cluster - 8 * recipe->blocks);
	for (size_t size = whole; size > end;
	     size -= min_u64(step, size - end)) {
		snprintf(name, sizeof(name), "recipe %td, cut at %zu",
			 recipe - recipes, size);
		write_file(cut, bytes, size);
		write_file(image, bytes, size);
		if (!has_l1(recipe, bytes, size)) {
			expect_untouched(name, bytes, size, image);
			continue;
		}
		judge(name, recipe, bytes, size, whole);
	}
	free(cut);
	free(image);
}

/* ---- lists and roots ---- */

static uint64_t snapshot_table(const uint8_t *bytes)
{
	return load_be64(bytes + HEADER_SNAPSHOTS_OFFSET);
}

static uint64_t snapshot_l1(const uint8_t *bytes)
{
	return load_be64(bytes + snapshot_table(bytes));
}

/* The cut is nearly a cluster before this, so nothing of it is there, and it is
   the next cluster. */
static const struct lost {
	const char *name, *make;
	uint64_t (*place)(const uint8_t *bytes);
} losses[] = {
	{ "the table of snapshots",
	  "qemu-img create -q -f qcow2 -o cluster_size=4k $i 4M;"
	  "qemu-io -c 'write -q -P 1 0 40k' $i; qemu-img snapshot -c a $i",
	  snapshot_table },
	/* The table gets a place before that. */
	{ "a snapshot's L1 table",
	  "qemu-img create -q -f qcow2 -o cluster_size=4k $i 4M;"
	  "qemu-io -c 'write -q -P 1 0 40k' $i; qemu-img snapshot -c a $i;"
	  "qemu-io -c 'write -q -P 2 0 8k' $i; qemu-img snapshot -c b $i;"
	  "qemu-img snapshot -d a $i",
	  snapshot_l1 },
};

/* Nothing is written where the table was, not even for a while. */
static void test_lost(const struct lost *lost)
{
	char *whole = scratch_path("whole"), *image = scratch_path("image");
	struct qcow_check result;
	uint64_t table, place;
	uint8_t *bytes;
	size_t size;

	must_run("rm -f %s; i=%s; %s", whole, whole, lost->make);
	bytes = read_file(whole, &size);
	table = load_be64(bytes + HEADER_REFCOUNT_TABLE_OFFSET);
	place = lost->place(bytes);
	memset(bytes + table, 0, 4096);
	write_file(image, bytes, place - 4095);
	free(bytes);
	if (check_ours(image, QCOW_REPAIR_ALL, 0, &result) == STATUS_FAILED)
		die("%s: the check fails", lost->name);
	bytes = read_file(image, &size);
	for (size_t at = place; at < min_u64(size, place + 4096); at++)
		if (bytes[at])
			die("%s: something is written at %#zx", lost->name, at);
	free(bytes);
	free(whole);
	free(image);
	cases++;
}

static void test_recipe(const struct recipe *recipe)
{
	char *whole = scratch_path("whole");
	uint8_t *bytes;
	size_t size;

	must_run("rm -f %s; i=%s; %s", whole, whole, recipe->make);
	bytes = read_file(whole, &size);
	test(recipe, bytes, size);
	free(bytes);
	free(whole);
}

int main(void)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(losses); i++)
		test_lost(&losses[i]);
	for (unsigned int i = 0; i < ARRAY_SIZE(recipes); i++)
		test_recipe(&recipes[i]);
	printf("%u files that were cut off; %u of their disks were not readable before\n",
	       cases, unread);
	return 0;
}
