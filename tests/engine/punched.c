// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Zeros around a small write into a cluster that was used before (R1).  If a
 * hole was punched when the cluster was freed, nobody writes zeros.  If that is
 * not certain, the engine writes them.
 *
 * To tell the two apart, the test fills the cluster behind the engine's back.
 * Bytes that the engine wrote as zero read as zero, and bytes that it took for
 * a hole do not.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "tests/lib/disk.h"
#include "tests/lib/helpers.h"
#include "qcow/image.h"

#define CLUSTER	 65536u
#define PIECE	 4096u
#define POSITION 8192u /* of the piece in its cluster */
#define BEHIND	 0x77
#define PACKED	 60u /* a guest cluster that is compressed */

static struct disk disk;
static struct qcow_image *image;
static uint8_t bytes[CLUSTER] __attribute__((aligned(4096)));

static void open_image(void)
{
	char *path = scratch_path("image");
	struct qcow_options options = {
		.journal_dir = scratch(),
		.inline_checkpoint = true,
		.test = &disk.hooks,
	};
	struct qcow_error error = { "" };

	must_run(
		"qemu-img create -q -f qcow2 %s 4M; qemu-io -f qcow2 -c 'write -q -c -P 3 %u 64k' %s",
		path, PACKED * CLUSTER, path);
	disk_load(&disk, path);
	if (qcow_open(path, &options, &image, &error))
		die("open: %s", error.text);
	free(path);
}

static void close_image(void)
{
	if (qcow_close(image))
		die("a close fails");
	disk_free(&disk);
}

/* Writes a whole guest cluster; returns its offset in the file. */
static uint64_t fill(uint64_t guest)
{
	struct qcow_io io;
	uint64_t offset;

	memset(bytes, 1, sizeof(bytes));
	if (qcow_write(image, bytes, guest * CLUSTER, CLUSTER) ||
	    qcow_map_read(image, &io, guest * CLUSTER, CLUSTER))
		die("a cluster cannot be filled");
	offset = io.extents[0].offset;
	if (qcow_finish(image, &io, 0))
		die("a read fails");
	return offset;
}

static void empty(uint64_t guest)
{
	if (qcow_discard(image, guest * CLUSTER, CLUSTER) || qcow_flush(image))
		die("a cluster cannot be freed");
}

static int write_piece(uint64_t guest)
{
	memset(bytes, 2, PIECE);
	return qcow_write(image, bytes, guest * CLUSTER + POSITION, PIECE);
}

/* Writes into another guest cluster, which gets the same place. */
static void expect(const char *when, uint64_t guest, uint64_t place, int around)
{
	memset(disk.bytes + place, BEHIND, CLUSTER);
	if (write_piece(guest))
		die("%s: a write fails", when);
	if (disk.bytes[place + POSITION] != 2)
		die("%s: it has got another place", when);
	for (unsigned int i = 0; i < CLUSTER; i++) {
		bool inside = i >= POSITION && i < POSITION + PIECE;

		if (disk.bytes[place + i] != (inside ? 2 : around))
			die("%s: byte %u is %#x", when, i,
			    disk.bytes[place + i]);
	}
}

static void test_punched(void)
{
	uint64_t place;

	open_image();
	place = fill(1);
	empty(1);
	expect("punched", 2, place, BEHIND);
	empty(2);
	expect("punched again", 3, place, BEHIND);
	close_image();
}

/* Both holes are free by the time the second one is given away. */
static void test_two(void)
{
	uint64_t first, second;

	open_image();
	first = fill(1);
	second = fill(2);
	empty(1);
	empty(2);
	expect("the first of two", 3, first, BEHIND);
	expect("the second of two", 4, second, BEHIND);
	close_image();
}

/* Two clusters share a slot; only the first cluster was punched. */
static void test_shared_slot(void)
{
	struct punched *punched;

	open_image();
	punched = &image->allocator.punched;
	punched_add(punched, 7, 1);
	if (!punched_has(punched, 7) || punched_has(punched, 7 + PUNCHED_SLOTS))
		die("a slot tells of another cluster");
	punched_remove(punched, 7 + PUNCHED_SLOTS, 1);
	if (!punched_has(punched, 7))
		die("another cluster's end forgets one");
	punched_add(punched, 0, 1ull << 40);
	punched_remove(punched, 6, 1ull << 40);
	if (!punched_has(punched, 5) || punched_has(punched, 6) ||
	    punched_has(punched, PUNCHED_SLOTS - 1))
		die("a long run is not known or not forgotten");
	punched_remove(punched, 0, 1ull << 40);
	close_image();
}

/* A failed write may have left bytes. */
static void test_failed(void)
{
	uint64_t place;

	open_image();
	place = fill(1);
	empty(1);
	disk.fail_at = 0;
	disk.fail_with = -EIO;
	disk.countdown = 0;
	if (!write_piece(2))
		die("a write without its I/O succeeds");
	disk.fail_at = -1;
	expect("after a failed write", 2, place, 0);
	close_image();
}

/* Neither the place nor the room in the journal is lost with a copy that
   fails: the first I/O of one reads the compressed cluster, the second one
   writes it. */
static void test_failed_copy(void)
{
	uint64_t place;

	open_image();
	place = fill(1);
	empty(1);
	disk.fail_at = 1;
	disk.fail_with = -EIO;
	disk.countdown = 0;
	if (!write_piece(PACKED))
		die("a copy without its I/O succeeds");
	disk.fail_at = -1;
	if (image->journal.reserved || image->dirty.reserved)
		die("a failed copy keeps its room");
	if (write_piece(PACKED))
		die("a copy fails");
	if (disk.bytes[place + POSITION] != 2 || disk.bytes[place] != 3)
		die("a failed copy keeps its place");
	close_image();
}

static void test_unsupported(void)
{
	uint64_t place;

	open_image();
	disk.hooks.block_device = true; /* the engine punches nothing there */
	place = fill(1);
	empty(1);
	if (!image->health.punch_unsupported)
		die("a hole is punched after all");
	expect("no holes", 2, place, 0);
	close_image();
}

/* From some time on, no hole can be punched. */
static void test_no_longer(void)
{
	uint64_t place;

	open_image();
	place = fill(1);
	empty(1);
	fill(2);
	/* As if the engine had not forgotten the place then. */
	punched_add(&image->allocator.punched, place / CLUSTER, 1);
	image->health.punch_unsupported = true;
	empty(2);
	expect("holes no longer", 3, place, 0);
	close_image();
}

int main(void)
{
	test_punched();
	test_two();
	test_shared_slot();
	test_failed();
	test_failed_copy();
	test_unsupported();
	test_no_longer();
	return 0;
}
