// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Death and power loss at every step of a disk's growth.
 *
 * A recording disk (lib/disk.c) notes random operations, with two growths
 * among them.  Then every step of the record is made an end (ends.c).  The
 * whole disk is known after each operation.  After a death, the disk has the
 * size and the bytes after the last acknowledged operation, or those after the
 * operation in flight, sector by sector.  After a power loss, it has those
 * after any operation since the last flush or growth.  New space reads as zero.
 * After a death the growth is asked for again, and at the end nothing has
 * leaked.
 *
 * usage: resize-crash [SEED]
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "qcow/resize.h"
#include "tests/engine/ends.h"
#include "tests/lib/disk.h"
#include "tests/lib/helpers.h"
#include "tests/lib/judge.h"
#include "tests/lib/operations.h"
#include "tests/lib/qemu-check.h"

#define SECTOR	     512u
#define OPERATIONS   24
#define FIRST_GROWTH 8
#define OTHER_GROWTH 16
#define JOURNAL_SIZE (16u << 10)
#define WINDOW	     (3u << 20) /* the part of a disk that is compared */
#define KIB	     1024ull

struct geometry {
	const char *options; /* of qemu-img create */
	uint32_t cluster;
	enum base {
		EMPTY,
		DEVICE,
		SNAPSHOT,
		OVERLAY, /* of a file that is longer than any size below */
	} base;
	uint64_t sizes[3]; /* at first, and after each growth; KiB */
};

static const struct geometry geometries[] = {
	/* in place; one moved; behind a moved refcount table */
	{ "cluster_size=512", 512, EMPTY, { 96, 200, 3000 } },
	{ "cluster_size=512,refcount_bits=1", 512, EMPTY, { 63, 64, 2100 } },
	{ "cluster_size=512,refcount_bits=64",
	  512,
	  EMPTY,
	  { 100, 2500, 140000 } },
	{ "cluster_size=512,refcount_bits=64",
	  512,
	  DEVICE,
	  { 70, 2200, 2300 } },
	{ "cluster_size=1024,compat=0.10", 1024, EMPTY, { 100, 16500, 20000 } },
	{ "cluster_size=4096", 4096, EMPTY, { 300, 301, 2100000 } },
	{ "cluster_size=65536", 65536, EMPTY, { 1000, 1025, 1000000 } },
	{ "cluster_size=512", 512, SNAPSHOT, { 70, 150, 2200 } },
	{ "cluster_size=512", 512, OVERLAY, { 70, 151, 2200 } },
	{ "cluster_size=4096", 4096, OVERLAY, { 190, 193, 400 } },
	{ "cluster_size=1024,compat=0.10", 1024, OVERLAY, { 70, 151, 260 } },
	{ "cluster_size=16384,extended_l2=on",
	  16384,
	  OVERLAY,
	  { 301, 310, 500 } },
};

/* The disk after so many operations. */
struct state {
	uint64_t size;
	uint8_t *bytes; /* of the window */
};

static struct {
	const struct geometry *geometry;
	struct operation operations[OPERATIONS];
	struct state states[OPERATIONS + 1];
	char *journal; /* path */
	uint64_t deaths, powers, checks;
} test;

static bool is_growth(unsigned int n)
{
	return n == FIRST_GROWTH || n == OTHER_GROWTH;
}

static uint64_t window(uint64_t size)
{
	return min_u64(size, WINDOW);
}

/* The one journal in the scratch directory. */
static const char *journal_path(void)
{
	if (!test.journal)
		test.journal = scratch_find("journals/*.journal");
	return test.journal;
}

static void must(int ret, const char *what)
{
	if (ret)
		die("%s: %s: %s", test.geometry->options, what, strerror(-ret));
}

static struct qcow_image *open_disk(struct disk *disk, bool force)
{
	return disk_open(disk, JOURNAL_SIZE, force, test.geometry->options);
}

static int grow(struct qcow_image *image, uint64_t size)
{
	struct qcow_error error = { "" };
	int ret = qcow_grow(image, size, &error);

	if (ret)
		die("%s: grow: %s", test.geometry->options, error.text);
	return ret;
}

/* ---- known states ---- */

static bool has(const struct state *state, uint64_t sector,
		const uint8_t *bytes)
{
	return (sector + 1) * SECTOR <= state->size &&
	       !memcmp(state->bytes + sector * SECTOR, bytes, SECTOR);
}

static void check_sector(uint64_t sector, const uint8_t *bytes,
			 unsigned int low, unsigned int high, const char *where)
{
	for (unsigned int n = low; n <= high; n++)
		if (has(&test.states[n], sector, bytes))
			return;
	die("%s: %s: sector %lu is of no state from %u to %u",
	    test.geometry->options, where, sector, low, high);
}

static void check_size(uint64_t size, unsigned int low, unsigned int high,
		       const char *where)
{
	for (unsigned int n = low; n <= high; n++)
		if (test.states[n].size == size)
			return;
	die("%s: %s: the disk has %lu bytes", test.geometry->options, where,
	    size);
}

static void check_zero(struct qcow_image *image, uint64_t offset,
		       const char *where)
{
	uint8_t bytes[64 * SECTOR];

	if (offset + sizeof(bytes) < WINDOW)
		return;
	must(qcow_read(image, bytes, offset, sizeof(bytes)), "read");
	for (size_t i = 0; i < sizeof(bytes); i++)
		if (bytes[i])
			die("%s: %s: byte %lu of new space is not zero",
			    test.geometry->options, where, offset + i);
}

static void check_contents(struct qcow_image *image, unsigned int low,
			   unsigned int high, const char *where)
{
	uint64_t size = qcow_size(image);
	uint64_t length = window(size);
	uint8_t *bytes = aligned_alloc(4096, round_up(length, 4096));

	check_size(size, low, high, where);
	must(qcow_read(image, bytes, 0, length), "read");
	for (uint64_t s = 0; s < length / SECTOR; s++)
		check_sector(s, bytes + s * SECTOR, low, high, where);
	if (size > 2 * WINDOW)
		check_zero(image, size - 64 * SECTOR, where);
	free(bytes);
}

/* ---- judgement ---- */

static void check_image(const struct disk *disk, bool leaks_allowed,
			bool sample, const char *where)
{
	struct verdict verdict;

	judge(disk->bytes, disk->size, &verdict);
	if (verdict.corruptions || (verdict.leaks && !leaks_allowed))
		die("%s: %s: %u corruptions, %u leaks: %s",
		    test.geometry->options, where, verdict.corruptions,
		    verdict.leaks, verdict.first);
	if (!sample)
		return;
	check_disk(disk, leaks_allowed, test.geometry->options);
	test.checks++;
}

/* Asks again for the size that was asked for last. */
static void judge_death(const struct disk *now, const struct step *step,
			bool sample)
{
	struct disk disk;
	struct qcow_image *image;
	unsigned int low = step->acked;

	disk_copy(&disk, now);
	write_file(journal_path(), step->journal, JOURNAL_SIZE);
	image = open_disk(&disk, false);
	check_contents(image, low, step->begun, "death");
	if (step->begun > low && is_growth(low) && test.deaths % 2) {
		grow(image, test.states[step->begun].size);
		low = step->begun;
		check_contents(image, low, step->begun, "grown again");
	}
	must(qcow_close(image), "close");
	check_image(&disk, false, sample, "death, close");
	image = open_disk(&disk, false);
	check_contents(image, low, step->begun, "second open");
	must(qcow_close(image), "second close");
	test.deaths++;
	disk_free(&disk);
}

/* The number of operations that the last acknowledged flush or growth
   covers. */
static unsigned int flushed(const struct step *step)
{
	for (unsigned int n = step->acked; n--;)
		if (is_growth(n) || test.operations[n].kind == OPERATION_FLUSH)
			return n + 1;
	return 0;
}

static void check_power(struct disk *disk, const struct step *step, bool sample)
{
	struct qcow_image *image;

	check_image(disk, true, sample, "power loss");
	unlink(journal_path());
	image = open_disk(disk, true);
	check_contents(image, flushed(step), step->begun, "power loss");
	must(qcow_close(image), "close");
	test.powers++;
}

/* ---- the record ---- */

static uint64_t size_after(unsigned int n)
{
	const uint64_t *sizes = test.geometry->sizes;

	if (n <= FIRST_GROWTH)
		return sizes[0] * KIB;
	return sizes[n <= OTHER_GROWTH ? 1 : 2] * KIB;
}

static void next_state(unsigned int n)
{
	const struct state *old = &test.states[n];
	struct state *new = &test.states[n + 1];
	const struct operation *operation = &test.operations[n];
	bool is_void = operation->kind == OPERATION_DISCARD &&
		       test.geometry->base == OVERLAY &&
		       strstr(test.geometry->options, "compat=0.10");

	*new = (struct state){
		.size = size_after(n + 1),
		.bytes = calloc(1, WINDOW),
	};
	memcpy(new->bytes, old->bytes, WINDOW);
	if (!is_growth(n) && !is_void)
		operation_apply(operation, new->bytes, old->size,
				test.geometry->cluster);
}

static void live(struct disk *disk, struct random *random)
{
	struct qcow_image *image = open_disk(disk, false);

	disk_record(disk, journal_path());
	for (unsigned int n = 0; n < OPERATIONS; n++) {
		struct operation *operation = &test.operations[n];
		uint64_t size = test.states[n].size;

		operation_draw(operation, n + 1, random, window(size),
			       test.geometry->cluster, false);
		next_state(n);
		disk->begun = n + 1;
		if (is_growth(n))
			must(grow(image, test.states[n + 1].size), "grow");
		else
			must(operation_do(operation, image,
					  random_below(random, 2),
					  &disk->hooks),
			     "operation");
		disk->acked = n + 1;
	}
	must(qcow_close(image), "close");
}

static void make_raw(const char *path)
{
	const uint64_t size = test.geometry->sizes[2] * KIB + 100 * SECTOR;
	uint8_t *bytes = calloc(1, size);

	for (uint64_t s = 0; s < size / SECTOR; s++)
		operation_stamp(bytes + s * SECTOR, 1000, s);
	write_file(path, bytes, size);
	memcpy(test.states[0].bytes, bytes, test.states[0].size);
	free(bytes);
}

static void create_image(const char *path)
{
	const struct geometry *geometry = test.geometry;
	char *raw = scratch_path("raw");

	must_run("rm -f %s", path);
	if (geometry->base == OVERLAY) {
		make_raw(raw);
		must_run(
			"qemu-img create -q -f qcow2 -o %s -b %s -F raw %s %luK",
			geometry->options, raw, path, geometry->sizes[0]);
	} else {
		must_run("qemu-img create -q -f qcow2 -o %s %s %luK",
			 geometry->options, path, geometry->sizes[0]);
	}
	if (geometry->base == SNAPSHOT)
		must_run(
			"qemu-io -c 'write -q -P 0 0 20K' %s && qemu-img snapshot -c one %s",
			path, path);
	free(raw);
}

static void test_geometry(const struct geometry *geometry, uint64_t seed)
{
	static const struct ends ends = {
		.death = judge_death,
		.power = check_power,
		.death_sample = 50,
		.power_sample = 100,
	};
	struct random random = { .state = seed };
	char *path = scratch_path("image");
	struct disk base, record;

	test.geometry = geometry;
	test.states[0] = (struct state){
		.size = geometry->sizes[0] * KIB,
		.bytes = calloc(1, WINDOW),
	};
	create_image(path);
	disk_load(&base, path);
	if (geometry->base == DEVICE)
		disk_make_device(&base, 1u << 20);
	disk_copy(&record, &base);
	live(&record, &random);
	ends_judge(&ends, &base, &record, &random);
	for (unsigned int n = 0; n <= OPERATIONS; n++)
		free(test.states[n].bytes);
	free(test.journal);
	test.journal = NULL;
	disk_free(&base);
	disk_free(&record);
	free(path);
}

int main(int argc, char **argv)
{
	uint64_t seed = argc > 1 ? strtoull(argv[1], NULL, 0) : 1;
	char *journals = scratch_path("journals");

	must_run("mkdir %s", journals);
	for (unsigned int n = 0; n < effort(); n++)
		for (unsigned int g = 0; g < ARRAY_SIZE(geometries); g++) {
			test_geometry(&geometries[g], seed + n);
			must_run("rm -f %s/*", journals);
		}
	printf("%lu deaths, %lu power losses, %lu qemu-img checks\n",
	       test.deaths, test.powers, test.checks);
	free(journals);
	return 0;
}
