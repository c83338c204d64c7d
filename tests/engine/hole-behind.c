// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The file of a stranger ends far behind its last cluster: a hole of exabytes
 * costs a few bytes.  The search for free clusters passes the hole at once, and
 * nobody waits for that (P6).  A write before the end of the search asks for no
 * cluster that no refcount table can count, and for no larger table.
 */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "tests/lib/helpers.h"
#include "qcow/image.h"

#define PIECE	 65536u
#define PATIENCE 60u /* seconds */

static uint8_t bytes[PIECE] __attribute__((aligned(4096)));

static void is_late(int number)
{
	static const char words[] = "the search does not end\n";

	(void)number;
	if (write(STDERR_FILENO, words, sizeof(words) - 1) < 0)
		_exit(2);
	_exit(1);
}

static struct qcow_image *open_image(const char *path)
{
	const struct qcow_options options = { .journal_dir = scratch() };
	struct qcow_error error = { "" };
	struct qcow_image *image;

	if (qcow_open(path, &options, &image, &error))
		die("open: %s", error.text);
	return image;
}

static void must_write(struct qcow_image *image, unsigned int piece)
{
	int ret;

	memset(bytes, (int)piece + 1, PIECE);
	ret = qcow_write(image, bytes, (uint64_t)piece * PIECE, PIECE);
	if (ret)
		die("write %u: %s", piece, strerror(-ret));
}

static bool is_swept(struct qcow_image *image)
{
	LOCKED(image);
	return image->allocator.sweep.over;
}

/* As a write finds the image that comes before the search has ended. */
static void undo_sweep(struct qcow_image *image)
{
	LOCKED(image);
	image->allocator.swept = false;
	image->allocator.cursor = image->allocator.high_water;
}

static void expect(struct qcow_image *image, unsigned int piece)
{
	if (qcow_read(image, bytes, (uint64_t)piece * PIECE, PIECE))
		die("read %u", piece);
	for (unsigned int i = 0; i < PIECE; i++)
		if (bytes[i] != piece + 1)
			die("piece %u: byte %u is %#x", piece, i, bytes[i]);
}

static void test(const char *options, const char *size)
{
	char *path = scratch_path("image");
	struct qcow_image *image;
	uint64_t entries;

	must_run("rm -f %s && qemu-img create -q -f qcow2 -o %s %s 1M", path,
		 options, path);
	must_run("qemu-io -c 'write -q -P 1 0 64k' %s", path);
	must_run("truncate -s %s %s", size, path);
	alarm(PATIENCE);
	image = open_image(path);
	entries = image->allocator.refcount_table_size;
	must_write(image, 1);
	while (!is_swept(image))
		usleep(1000);
	must_write(image, 2);
	undo_sweep(image);
	must_write(image, 3);
	if (image->allocator.refcount_table_size != entries)
		die("%s: the refcount table has become larger", options);
	for (unsigned int piece = 0; piece < 4; piece++)
		expect(image, piece);
	if (qcow_close(image))
		die("close");
	alarm(0);
	free(path);
}

int main(void)
{
	signal(SIGALRM, is_late);
	test("cluster_size=65536", "4E");
	test("cluster_size=512,refcount_bits=64", "4E");
	test("cluster_size=2M,refcount_bits=1", "4E");
	test("cluster_size=512,compat=0.10", "1T");
	return 0;
}
