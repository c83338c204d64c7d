// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * An image that is opened for direct writing is dropped from the page cache.
 * Otherwise each write would have to look for pages that others have left
 * there.  An image that is only read, or written through the page cache, stays
 * there.
 *
 * The file system decides whether pages go, and a scratch file may lie on a
 * tmpfs, which keeps its bytes in the page cache alone.  So the calls are
 * counted.
 *
 * usage: cached
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include "tests/lib/helpers.h"
#include "qcow/image.h"

static const char *watched; /* a file */
static unsigned int drops;  /* of all its pages */

int __real_posix_fadvise(int fd, off_t offset, off_t length, int advice);
int __wrap_posix_fadvise(int fd, off_t offset, off_t length, int advice);

int __wrap_posix_fadvise(int fd, off_t offset, off_t length, int advice)
{
	struct stat wanted, st;

	if (stat(watched, &wanted) || fstat(fd, &st))
		die("cannot look at %s", watched);
	drops += st.st_ino == wanted.st_ino && st.st_dev == wanted.st_dev &&
		 !offset && !length && advice == POSIX_FADV_DONTNEED;
	return __real_posix_fadvise(fd, offset, length, advice);
}

static void expect(bool dropped, bool read_only, enum qcow_cache cache)
{
	struct qcow_options options = {
		.journal_dir = scratch(),
		.read_only = read_only,
		.cache = cache,
	};
	struct qcow_error error = { "" };
	struct qcow_image *image;

	drops = 0;
	if (qcow_open(watched, &options, &image, &error))
		die("%s", error.text);
	/* Without direct I/O the image is written through the page cache. */
	dropped &= image->file.direct;
	if (qcow_close(image))
		die("cannot close");
	if (drops != dropped)
		die("read only %d, cache mode %d: its pages are dropped %u times",
		    read_only, cache, drops);
}

int main(void)
{
	char *path = scratch_path("image");

	must_run("qemu-img create -q -f qcow2 %s 4M", path);
	watched = path;
	expect(true, false, QCOW_CACHE_NONE);
	expect(false, true, QCOW_CACHE_NONE);
	expect(false, false, QCOW_CACHE_WRITEBACK);
	free(path);
	return 0;
}
