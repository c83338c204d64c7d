// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A raw file under an image that ends within a sector: its last bytes are
 * there, and zeros follow, however the reads are cut.
 */
#include <stdlib.h>
#include <string.h>
#include "tests/lib/helpers.h"
#include "tests/lib/model.h"

#define SECTOR 512u
#define SIZE   4096u /* of the disk */
#define BYTES  1300u /* of the file */

static void expect(struct qcow_image *image, uint64_t from, uint64_t to)
{
	static uint8_t bytes[SIZE] __attribute__((aligned(4096)));

	if (qcow_read(image, bytes, from, to - from))
		die("a read from %lu to %lu fails", from, to);
	for (uint64_t at = from; at < to; at++)
		if (bytes[at - from] != (at < BYTES ? 5 : 0))
			die("a read from %lu to %lu: byte %lu is %#x", from, to,
			    at, bytes[at - from]);
}

int main(void)
{
	char *base = scratch_path("base"), *path = scratch_path("image");
	uint8_t bytes[BYTES];
	struct qcow_image *image;

	memset(bytes, 5, sizeof(bytes));
	write_file(base, bytes, sizeof(bytes));
	must_run("qemu-img create -q -f qcow2 -b %s -F raw %s %u", base, path,
		 SIZE);
	image = model_open(path, QCOW_CACHE_WRITEBACK);
	for (uint64_t from = 0; from < SIZE; from += SECTOR)
		for (uint64_t to = from + SECTOR; to <= SIZE; to += SECTOR)
			expect(image, from, to);
	/* The rest of the cluster is copied. */
	memset(bytes, 0, SECTOR);
	if (qcow_write(image, bytes, SIZE - SECTOR, SECTOR))
		die("a write fails");
	expect(image, 0, SIZE);
	model_close(image);
	free(path);
	free(base);
	return 0;
}
