// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Every read, write and sync fails once, in turn, under random operations.
 *
 * An operation may fail then, and only then, with the error of the disk.  The
 * sectors that it was to change hold the old or the new bytes.  All other
 * sectors are right, and later operations succeed again.  After a clean close
 * the image has neither corruption nor leak (R17).
 *
 * One image shares its clusters and tables with an internal snapshot, so that
 * the copy of a table fails, too.  The snapshot must stay as it was.
 *
 * usage: faults [SEED]
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "tests/lib/disk.h"
#include "tests/lib/helpers.h"
#include "tests/lib/judge.h"
#include "tests/lib/operations.h"
#include "tests/lib/sectors.h"
#include "qcow/image.h"

#define SECTOR	    512u
#define OPERATIONS  40
#define MAX_SECTORS 4096

static const struct geometry {
	const char *options;
	uint32_t cluster;
	const char *size;
	bool snapshot; /* all clusters and tables are an internal one's, too */
} geometries[] = {
	{ "cluster_size=512,refcount_bits=64", 512, "150K", false },
	{ "cluster_size=4096,compat=0.10", 4096, "256K", false },
	{ "cluster_size=65536", 65536, "512K", false },
	{ "cluster_size=1024", 1024, "256K", true },
};

static struct {
	const struct geometry *geometry;
	uint64_t size;
	uint32_t may_hold[MAX_SECTORS][2];
	unsigned long failures;
} test;

static struct qcow_image *open_disk(struct disk *disk)
{
	char *path = scratch_path("image");
	struct qcow_error error = { "" };
	struct qcow_image *image = NULL;
	struct qcow_options options = {
		.journal_dir = scratch(),
		.journal_size = 8u << 10,
		.inline_checkpoint = true,
		.test = &disk->hooks,
	};
	int ret;

	/* A write that lacks space would have the room that is set aside. */
	disk->hooks.ahead = 0;
	ret = qcow_open(path, &options, &image, &error);
	free(path);
	if (ret && ret != disk->fail_with)
		die("%s: open: %s", test.geometry->options, error.text);
	return image;
}

/* Notes the stamps that the operation leaves; after a failure, old or new. */
static void note(const struct operation *operation, bool failed)
{
	for (uint64_t s = 0; s < test.size / SECTOR; s++) {
		uint32_t *may = test.may_hold[s];
		uint32_t stamp;

		if (!operation_changes(operation, s, test.size,
				       test.geometry->cluster, &stamp))
			continue;
		may[1] = stamp;
		if (!failed)
			may[0] = stamp;
	}
}

static void check_sector(const uint8_t *bytes, uint64_t s)
{
	const uint32_t *may = test.may_hold[s];
	uint32_t held = stamp_of(bytes, s, test.geometry->options);

	if (held != may[0] && held != may[1])
		die("%s: sector %lu holds operation %u, not %u or %u",
		    test.geometry->options, s, held, may[0], may[1]);
	test.may_hold[s][0] = test.may_hold[s][1] = held;
}

static void check_all(struct qcow_image *image)
{
	uint8_t *bytes = aligned_alloc(4096, round_up(test.size, 4096));
	int ret = qcow_read(image, bytes, 0, test.size);

	if (ret)
		die("%s: read: %s", test.geometry->options, strerror(-ret));
	for (uint64_t s = 0; s < test.size / SECTOR; s++)
		check_sector(bytes + s * SECTOR, s);
	free(bytes);
}

/* It was made of zeros. */
static void check_snapshot(const struct disk *disk)
{
	static struct sectors sectors;
	uint8_t bytes[SECTOR];

	sectors_open(&sectors, disk->bytes, disk->size);
	sectors_choose_snapshot(&sectors);
	for (uint64_t s = 0; s < test.size / SECTOR; s++)
		if (!sectors_read(&sectors, s, bytes) ||
		    stamp_of(bytes, s, test.geometry->options))
			die("%s: I/O %d failed: sector %lu of the snapshot is another",
			    test.geometry->options, disk->fail_at, s);
}

static void check_closed(const struct disk *disk)
{
	struct verdict verdict;

	judge(disk->bytes, disk->size, &verdict);
	if (verdict.corruptions || verdict.leaks)
		die("%s: I/O %d failed: %u corruptions, %u leaks: %s",
		    test.geometry->options, disk->fail_at, verdict.corruptions,
		    verdict.leaks, verdict.first);
	if (test.geometry->snapshot)
		check_snapshot(disk);
}

/* Returns whether the fault was reached at all. */
static bool run_with_fault(const struct disk *base, uint64_t seed, int at,
			   int error)
{
	struct random random = { .state = seed };
	struct qcow_image *image;
	struct disk disk;
	bool reached;

	memset(test.may_hold, 0, sizeof(test.may_hold));
	disk_copy(&disk, base);
	disk.fail_at = at;
	disk.fail_with = error;
	image = open_disk(&disk);
	if (!image)
		image = open_disk(&disk);
	for (unsigned int n = 1; n <= OPERATIONS; n++) {
		struct operation operation;
		int ret;

		operation_draw(&operation, n, &random, test.size,
			       test.geometry->cluster, false);
		ret = operation_do(&operation, image, random_below(&random, 2),
				   &disk.hooks);
		if (ret && (ret != error || disk.countdown <= at))
			die("%s: operation %u: %s", test.geometry->options, n,
			    strerror(-ret));
		test.failures += ret != 0;
		note(&operation, ret);
	}
	disk.fail_at = -1;
	check_all(image);
	disk.fail_at = at;
	if (qcow_close(image) && disk.countdown <= at)
		die("%s: close fails", test.geometry->options);
	reached = disk.countdown > at;
	/* If the close met the fault, it left the rest to the next open. */
	disk.fail_at = -1;
	image = open_disk(&disk);
	check_all(image);
	if (qcow_close(image))
		die("%s: second close fails", test.geometry->options);
	check_closed(&disk);
	disk_free(&disk);
	return reached;
}

static void test_geometry(const struct geometry *geometry, uint64_t seed)
{
	static const int errors[] = { -EIO, -ENOSPC };
	char *path = scratch_path("image");
	struct disk base;

	test.geometry = geometry;
	must_run("qemu-img create -q -f qcow2 -o %s %s %s", geometry->options,
		 path, geometry->size);
	if (geometry->snapshot)
		must_run("qemu-io -c 'write -q -P 0 0 %s' %s &&"
			 "qemu-img snapshot -c one %s",
			 geometry->size, path, path);
	disk_load(&base, path);
	test.size = round_down(load_be64(base.bytes + HEADER_SIZE), SECTOR);
	for (int at = 0; run_with_fault(&base, seed, at, errors[at % 2]); at++)
		;
	disk_free(&base);
	free(path);
}

int main(int argc, char **argv)
{
	uint64_t seed = argc > 1 ? strtoull(argv[1], NULL, 0) : 1;

	for (unsigned int n = 0; n < effort(); n++)
		for (unsigned int g = 0; g < ARRAY_SIZE(geometries); g++)
			test_geometry(&geometries[g], seed + n);
	printf("%lu operations failed as they should\n", test.failures);
	return test.failures ? 0 : 1;
}
