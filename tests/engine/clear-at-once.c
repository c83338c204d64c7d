// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * DISCARD and WRITE ZEROES that never block: short ranges are cleared at once,
 * and all else is left to the blocking call.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "tests/lib/helpers.h"
#include "tests/lib/qemu-check.h"
#include "qcow/image.h"
#include "qcow/mapped.h"
#include "qcow/unlink.h"

#define CLUSTER	 65536u
#define CLUSTERS 256u

static struct qcow_image *image;

static void open_image(const char *options)
{
	const struct qcow_options how = { .journal_dir = scratch() };
	struct qcow_error error = { "" };
	char *path = scratch_path("image");

	if (options)
		must_run("qemu-img create -q -f qcow2 %s %s %uK", options, path,
			 CLUSTERS * (CLUSTER >> 10));
	if (qcow_open(path, &how, &image, &error))
		die("%s", error.text);
	free(path);
}

static void fill(void)
{
	static uint8_t bytes[CLUSTER] __attribute__((aligned(4096)));

	memset(bytes, 'x', sizeof(bytes));
	for (unsigned int i = 0; i < CLUSTERS; i++)
		if (qcow_write(image, bytes, (uint64_t)i * CLUSTER, CLUSTER))
			die("write");
}

static void check(void)
{
	char *path = scratch_path("image");

	if (check_theirs(path, ""))
		die("qemu-img check finds errors");
	free(path);
}

static void close_image(void)
{
	if (qcow_close(image))
		die("close");
}

static void discard(uint64_t offset, uint64_t length, int expected)
{
	int ret = qcow_map_discard(image, offset, length);

	if (ret != expected)
		die("discard of %llu bytes at %llu: %d, not %d",
		    (unsigned long long)length, (unsigned long long)offset, ret,
		    expected);
}

static void zero(uint64_t offset, uint64_t length, bool unmap, int expected)
{
	int ret = qcow_map_zeroes(image, offset, length, unmap);

	if (ret != expected)
		die("zeroes, %llu bytes at %llu: %d, not %d",
		    (unsigned long long)length, (unsigned long long)offset, ret,
		    expected);
}

/* Do the clusters [first, end) hold this byte? */
static void expect(unsigned int first, unsigned int end, uint8_t value)
{
	static uint8_t bytes[CLUSTER] __attribute__((aligned(4096)));

	for (unsigned int i = first; i < end; i++) {
		if (qcow_read(image, bytes, (uint64_t)i * CLUSTER, CLUSTER))
			die("read");
		if (bytes[0] != value || memcmp(bytes, bytes + 1, CLUSTER - 1))
			die("cluster %u does not hold %d", i, value);
	}
}

/* The order of events that the guest may see: R9. */
static void test_busy(void)
{
	struct qcow_io io;

	if (qcow_map_write(image, &io, 2 * CLUSTER, 4096))
		die("a write in place");
	discard(0, 4 * CLUSTER, QCOW_MUST_BLOCK);
	zero(2 * CLUSTER, CLUSTER, true, QCOW_MUST_BLOCK);
	discard(4 * CLUSTER, CLUSTER, 0);
	if (qcow_finish(image, &io, -ECANCELED) != -ECANCELED)
		die("finish");
	discard(2 * CLUSTER, CLUSTER, 0);
	expect(2, 3, 0);
	expect(0, 2, 'x');
}

static void test_lengths(void)
{
	discard(8 * CLUSTER, UNLINK_AT_ONCE * CLUSTER, 0);
	expect(8, 8 + UNLINK_AT_ONCE, 0);
	discard(80 * CLUSTER, (UNLINK_AT_ONCE + 1) * CLUSTER, QCOW_MUST_BLOCK);
	expect(80, 80 + UNLINK_AT_ONCE + 1, 'x');
	/* Parts of clusters keep their data. */
	discard(200 * CLUSTER + 512, CLUSTER, 0);
	discard(201 * CLUSTER + 512, 2 * CLUSTER, 0);
	expect(200, 202, 'x');
	expect(202, 203, 0);
	expect(203, 204, 'x');
	/* But they must be zero. */
	zero(204 * CLUSTER + 512, 2 * CLUSTER, true, QCOW_MUST_BLOCK);
	zero(204 * CLUSTER, 2 * CLUSTER - 512, true, QCOW_MUST_BLOCK);
	zero(204 * CLUSTER, 512, true, QCOW_MUST_BLOCK);
	expect(204, 207, 'x');
	zero(204 * CLUSTER, CLUSTER, true, 0);
	zero(205 * CLUSTER, CLUSTER, false, 0);
	expect(204, 206, 0);
	discard(0, CLUSTERS * (uint64_t)CLUSTER + 512, -EINVAL);
}

/* The first change of an image marks it, which takes a sync. */
static void test_marked(void)
{
	close_image();
	open_image(NULL);
	if (image->life.marked)
		die("it is marked already");
	expect(10, 11, 0);
	expect(0, 1, 'x');
	discard(0, CLUSTER, QCOW_MUST_BLOCK);
	if (qcow_discard(image, 0, CLUSTER))
		die("discard");
	discard(CLUSTER, CLUSTER, 0);
	expect(0, 2, 0);
}

static void test_cache(void)
{
	{
		LOCKED(image);
		cache_forget(image, image->l1[0] & ENTRY_OFFSET, CLUSTER);
	}
	if (qcow_flush(image))
		die("flush");
	{
		LOCKED(image);
		cache_forget(image, image->l1[0] & ENTRY_OFFSET, CLUSTER);
	}
	discard(210 * CLUSTER, CLUSTER, QCOW_MUST_BLOCK);
	expect(210, 211, 'x');
	discard(210 * CLUSTER, CLUSTER, 0);
	expect(210, 211, 0);
}

static void test_version_2(void)
{
	open_image("-o compat=0.10");
	fill();
	zero(0, CLUSTER, true, QCOW_MUST_BLOCK);
	discard(0, CLUSTER, 0);
	expect(0, 1, 0);
	close_image();
	check();
}

int main(void)
{
	open_image("");
	discard(0, CLUSTER, QCOW_MUST_BLOCK);
	fill();
	test_busy();
	test_lengths();
	test_marked();
	test_cache();
	close_image();
	check();
	test_version_2();
	return 0;
}
