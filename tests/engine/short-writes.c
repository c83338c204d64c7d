// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A kernel may write less than it was asked for and call that a success.  Then
 * the rest is written, too, or the guest gets the error of the rest; never is a
 * part taken for the whole.
 *
 * The process may not make its files larger than a limit, which lies within the
 * cluster that is written next: the first call writes up to the limit, and the
 * next one fails.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include "tests/lib/helpers.h"
#include "tests/lib/model.h"

#define CLUSTER 65536u

static uint8_t bytes[CLUSTER] __attribute__((aligned(4096)));

static void limit_size(rlim_t size)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_FSIZE, &limit))
		die("the limit cannot be read");
	limit.rlim_cur = size == RLIM_INFINITY ? limit.rlim_max : size;
	if (setrlimit(RLIMIT_FSIZE, &limit))
		die("the limit cannot be set");
}

static rlim_t size_of(const char *path)
{
	struct stat st;

	if (stat(path, &st))
		die("%s: %s", path, strerror(errno));
	return st.st_size;
}

static int put(struct qcow_image *image, uint64_t cluster, int byte)
{
	memset(bytes, byte, sizeof(bytes));
	return qcow_write(image, bytes, cluster * CLUSTER, CLUSTER);
}

static void expect(struct qcow_image *image, uint64_t cluster, int byte)
{
	if (qcow_read(image, bytes, cluster * CLUSTER, CLUSTER))
		die("a read fails");
	for (unsigned int i = 0; i < CLUSTER; i++)
		if (bytes[i] != byte)
			die("cluster %lu: byte %u is %#x", cluster, i,
			    bytes[i]);
}

int main(void)
{
	char *path = scratch_path("image");
	struct qcow_image *image;
	int ret;

	signal(SIGXFSZ, SIG_IGN);
	must_run("qemu-img create -q -f qcow2 %s 1M", path);
	image = model_open(path, QCOW_CACHE_WRITEBACK);
	if (put(image, 0, 1) || qcow_flush(image))
		die("the first write fails");
	limit_size(size_of(path) + CLUSTER / 3);
	ret = put(image, 1, 2);
	/* Not -EFBIG: the file has been searched for free clusters. */
	if (ret != -ENOSPC)
		die("a part of a write gives %d", ret);
	expect(image, 1, 0);
	limit_size(RLIM_INFINITY);
	if (put(image, 1, 3))
		die("it fails without a limit, too");
	expect(image, 0, 1);
	expect(image, 1, 3);
	model_close(image);
	must_run("qemu-img check -q %s", path);
	free(path);
	return 0;
}
