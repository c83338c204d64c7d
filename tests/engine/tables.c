// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * L2 tables that a snapshot uses, too, are copied from their first entry to
 * their last, for each size of an entry.
 *
 * usage: tables
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "tests/lib/model.h"
#include "tests/lib/helpers.h"
#include "qcow/bits.h"

#define SECTOR 512u

static const struct geometry {
	const char *options;
	uint64_t covered; /* bytes of the disk, by one table */
} geometries[] = {
	{ "cluster_size=512", 512 / 8 * 512 },
	{ "cluster_size=16k", 16384 / 8 * 16384 },
	{ "cluster_size=16k,extended_l2=on", 16384 / 16 * 16384 },
	{ "cluster_size=64k,extended_l2=on", 65536 / 16 * 65536 },
};

/* Data in the first and the last entry of the first table, in the last of the
   second; then a snapshot. */
static void make_image(const struct geometry *geometry, const char *path)
{
	uint64_t covered = geometry->covered;

	must_run("rm -f %s; qemu-img create -q -f qcow2 -o %s %s %lu", path,
		 geometry->options, path, 2 * covered);
	must_run(
		"qemu-io -c 'write -q -P 4 0 512' -c 'write -q -P 5 %lu 512' -c 'write -q -P 6 %lu 512' %s",
		covered - SECTOR, 2 * covered - SECTOR, path);
	must_run("qemu-img snapshot -c one %s", path);
}

static void test_geometry(const struct geometry *geometry)
{
	uint64_t covered = geometry->covered;
	char *path = scratch_path("image");
	uint8_t *bytes = aligned_alloc(SECTOR, SECTOR);
	struct qcow_image *image;

	memset(bytes, 7, SECTOR);
	make_image(geometry, path);
	image = model_open(path, QCOW_CACHE_WRITEBACK);
	if (qcow_write(image, bytes, SECTOR, SECTOR) ||
	    qcow_write(image, bytes, covered, SECTOR))
		die("%s: cannot write", geometry->options);
	model_close(image);
	must_run("qemu-img check -q %s", path);
	must_run(
		"qemu-io -r -c 'read -q -P 4 0 512' -c 'read -q -P 7 512 512' -c 'read -q -P 5 %lu 512' -c 'read -q -P 7 %lu 512' -c 'read -q -P 6 %lu 512' %s",
		covered - SECTOR, covered, 2 * covered - SECTOR, path);
	free(bytes);
	free(path);
}

int main(void)
{
	for (unsigned int g = 0; g < ARRAY_SIZE(geometries); g++)
		test_geometry(&geometries[g]);
	printf("%zu geometries\n", ARRAY_SIZE(geometries));
	return 0;
}
