// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A growth of the disk that fails at a sync, and the disk goes on (R1).
 *
 * What was written for the larger refcount table stays behind the file's end,
 * where free clusters are taken to read as zero.  Later the refcounts grow
 * because of the guest's writes, and the new table is laid out otherwise.  So
 * each of its clusters gets half its bytes from the guest, and the others must
 * read as zero.
 *
 * usage: failed-growth
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "tests/lib/disk.h"
#include "tests/lib/helpers.h"
#include "qcow/resize.h"

#define CLUSTER	 1024u
#define HALF	 (CLUSTER / 2)
#define CLUSTERS (17u << 10)	/* one table counts 16K */
#define LARGE	 (300ull << 30) /* needs many refcount blocks at once */
#define SYNCS	 3

static void load_new(struct disk *disk)
{
	char *path = scratch_path("image");

	must_run(
		"rm -f %s; qemu-img create -q -f qcow2 -o cluster_size=1K,refcount_bits=64 %s %uK; truncate -s 15M %s",
		path, path, CLUSTERS, path);
	disk_load(disk, path);
	free(path);
}

/* Returns whether there was such a sync. */
static bool fail_to_grow(struct qcow_image *image, struct disk *disk, int sync)
{
	struct qcow_error error;
	int ret;

	disk->fail_sync = disk->syncs + sync;
	ret = qcow_grow(image, LARGE, &error);
	disk->fail_sync = -1;
	return ret;
}

static void write_halves(struct qcow_image *image)
{
	char bytes[HALF];

	memset(bytes, 1, sizeof(bytes));
	for (uint64_t i = 0; i < CLUSTERS; i++)
		if (qcow_write(image, bytes, i * CLUSTER, HALF))
			die("cluster %lu cannot be written to", i);
}

static void read_halves(struct qcow_image *image, int sync)
{
	static const char zeros[HALF];
	char bytes[HALF];

	for (uint64_t i = 0; i < CLUSTERS; i++) {
		if (qcow_read(image, bytes, i * CLUSTER + HALF, HALF))
			die("cluster %lu cannot be read", i);
		if (memcmp(bytes, zeros, HALF))
			die("sync %d failed, and cluster %lu shows bytes that nobody has written",
			    sync, i);
	}
}

static bool test(int sync)
{
	struct qcow_image *image;
	struct disk disk;
	bool failed;

	load_new(&disk);
	image = disk_open(&disk, 1u << 20, false, "growth");
	failed = fail_to_grow(image, &disk, sync);
	if (failed) {
		write_halves(image);
		read_halves(image, sync);
	}
	if (qcow_close(image))
		die("the image cannot be closed");
	disk_free(&disk);
	return failed;
}

int main(void)
{
	char *journals = scratch_path("journals");
	int failures = 0;

	must_run("mkdir %s", journals);
	free(journals);
	for (int sync = 0; sync < SYNCS; sync++)
		failures += test(sync);
	printf("%d growths failed\n", failures);
	return failures != SYNCS;
}
