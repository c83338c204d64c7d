// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A full image on a disk whose reads are counted.  A caller gets what it reads
 * late: a cluster becomes free meanwhile.
 */
#include <stdlib.h>
#include <unistd.h>
#include "tests/engine/free-space.h"
#include "tests/lib/helpers.h"

#define PATIENCE 60u /* seconds */

struct free_space test;

void must(int ret, const char *what)
{
	if (ret)
		die("%s: %d", what, ret);
}

void free_guest(uint64_t guest)
{
	must(qcow_discard(test.image, guest * test.cluster, test.cluster),
	     "discard");
	must(qcow_flush(test.image), "flush");
}

void write_guest(uint64_t guest)
{
	static const char bytes[65536];

	must(qcow_write(test.image, bytes, guest * test.cluster, test.cluster),
	     "write");
}

/* The caller gets bytes that are older than events meanwhile. */
static int late_read(void *disk, void *buffer, uint64_t offset, size_t length)
{
	int ret = test.disk_ops->read(disk, buffer, offset, length);

	test.reads++;
	if (offset && offset == test.freed_at &&
	    !pthread_equal(pthread_self(), test.main)) {
		test.freed_at = 0;
		while (!test.opened)
			usleep(1000);
		free_guest(test.guest);
	}
	return ret;
}

/* All of the disk but its last 64 KiB has clusters. */
void make(const char *options, uint32_t cluster, unsigned int kib)
{
	char *path = scratch_path("image");

	test.cluster = cluster;
	must_run(
		"qemu-img create -q -f qcow2 -o preallocation=metadata,cluster_size=%u%s %s %uK",
		cluster, options, path, kib);
	must_run("qemu-img resize -q %s +64K", path);
	disk_load(&test.disk, path);
	test.disk_ops = test.disk.hooks.ops;
	test.ops = *test.disk_ops;
	test.ops.read = late_read;
	test.disk.hooks.ops = &test.ops;
	free(path);
}

void open_image(bool threads)
{
	const struct qcow_options options = {
		.cache = QCOW_CACHE_WRITEBACK,
		.cache_size = 1,
		.journal_dir = scratch(),
		.inline_checkpoint = !threads,
		.test = &test.disk.hooks,
	};
	struct qcow_error error = { "" };
	char *path = scratch_path("image");

	test.opened = false;
	if (qcow_open(path, &options, &test.image, &error))
		die("%s", error.text);
	test.opened = true;
	free(path);
}

uint64_t host_of(uint64_t guest)
{
	struct qcow_io io;
	char byte[512];
	uint64_t host;

	must(qcow_read(test.image, byte, guest * test.cluster, 512), "read");
	must(qcow_map_read(test.image, &io, guest * test.cluster, 512), "map");
	host = io.extents[0].offset / test.cluster;
	must(qcow_finish(test.image, &io, 0), "finish");
	return host;
}

static bool is_swept(void)
{
	LOCKED(test.image);
	return test.image->allocator.sweep.over;
}

void await_sweep(void)
{
	for (unsigned int n = 0; !is_swept(); n++) {
		if (n == PATIENCE * 1000)
			die("the sweep does not end");
		usleep(1000);
	}
}

void close_image(void)
{
	must(qcow_close(test.image), "close");
	disk_free(&test.disk);
}

/* Returns the next guest cluster without a host cluster. */
uint64_t fill_holes(uint64_t guest)
{
	uint64_t mark = test.image->allocator.high_water;

	while (test.image->allocator.high_water == mark)
		write_guest(guest++);
	return guest;
}

void free_space_begin(void)
{
	test.main = pthread_self();
}
