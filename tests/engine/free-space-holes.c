// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A part of a cluster that is written to a hole, which an earlier life has
 * left, gets no zeros around it; but one that is written to anything else does
 * (R1).
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>
#include "tests/engine/free-space.h"
#include "tests/lib/helpers.h"

/* A hole, in clusters, as large as one slice of 64-bit counts describes. */
#define CLUSTER 65536u
#define STRETCH 512u
#define HOLE	(2ull * STRETCH)
#define SECTOR	512u

/* So that a mapping lacks nothing. */
static void warm(uint64_t guest, uint64_t host)
{
	uint64_t count;

	host_of(guest);
	LOCKED(test.image);
	must(refcount_get_wait(test.image, host, &count), "count");
	while (!test.image->life.marked)
		must(image_mark(test.image), "mark");
}

/* Maps a write to a part of a guest cluster, which gets this host cluster. */
static void map_part(struct qcow_io *io, uint64_t guest, uint64_t host)
{
	warm(guest, host);
	{
		LOCKED(test.image);
		test.image->allocator.cursor = host;
	}
	must(qcow_map_write(test.image, io, guest * test.cluster + SECTOR,
			    SECTOR),
	     "map");
	if (io->extents[0].offset != host * test.cluster + SECTOR)
		die("another cluster is taken");
}

/* A write that fails leaves bytes in a cluster that is free again. */
static void dirty_free_cluster(uint64_t host)
{
	struct qcow_io io;

	map_part(&io, test.guest, host);
	test.disk.bytes[host * test.cluster] = 1;
	qcow_finish(test.image, &io, -EIO);
}

static bool is_hole(void *disk, uint64_t offset, uint64_t length)
{
	const uint8_t *bytes = ((struct disk *)disk)->bytes + offset;
	bool hole = !bytes[0] && !memcmp(bytes, bytes + 1, length - 1);

	if (offset == HOLE * CLUSTER && test.dirties) {
		while (!test.opened)
			usleep(1000);
		dirty_free_cluster(HOLE + 5);
	}
	return hole;
}

/* This guest cluster gets that host cluster. */
static void keep(uint64_t guest, uint64_t host)
{
	struct qcow_io io;

	test.guest = guest;
	map_part(&io, guest, host);
	must(qcow_finish(test.image, &io, 0), "finish");
}

/* Discards what lies in two stretches of the file, of which the second is no
   hole, but for a cluster of each; and opens the image again. */
static void make_hole(bool dirties)
{
	uint64_t first = 0;

	make(",refcount_bits=64", CLUSTER, 160u << 10);
	test.ops.is_hole = is_hole;
	open_image(false);
	/* The resize has left some. */
	fill_holes((160u << 20) / CLUSTER);
	while (host_of(first) != HOLE)
		first++;
	if (host_of(first + 2 * STRETCH - 1) != HOLE + 2 * STRETCH - 1)
		die("the image is not as expected");
	must(qcow_discard(test.image, first * CLUSTER, 2 * STRETCH * CLUSTER),
	     "discard");
	must(qcow_flush(test.image), "flush");
	keep(first + 20, HOLE + 20);
	keep(first + STRETCH + 20, HOLE + STRETCH + 20);
	must(qcow_close(test.image), "close");
	test.disk.bytes[(HOLE + STRETCH + 30) * CLUSTER + 77] = 1;
	test.dirties = dirties;
	test.guest = first;
	open_image(true);
	await_sweep();
}

static void must_zero(uint64_t host, bool zeroes, const char *what)
{
	struct qcow_io io;

	map_part(&io, test.guest++, host);
	if (!io.extents[0].zero_before == zeroes)
		die("zeros around a part of a cluster: %s", what);
	must(qcow_finish(test.image, &io, 0), "finish");
}

void test_hole(void)
{
	make_hole(false);
	must_zero(HOLE + 9, false, "in a hole");
	must_zero(HOLE + STRETCH + 9, true, "in no hole");
	dirty_free_cluster(HOLE + 3);
	must_zero(HOLE + 3, true, "in what was a hole");
	close_image();
	make_hole(true);
	must_zero(HOLE + 5, true, "in a hole that was written to");
	close_image();
}
