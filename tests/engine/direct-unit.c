// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The unit of direct I/O that the file system names decides whether an image is
 * read directly: at most a cluster, because tables are written by the cluster,
 * and at most a page, because buffers are aligned to that.  With a greater unit
 * the page cache is used, and the user is told.
 *
 * Only the header of a qcow2 image has a cluster size.  The bytes of a raw
 * file are the guest's, and do not decide.
 *
 * No file system here names such units: its answer is changed.
 *
 * usage: direct-unit
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "tests/lib/helpers.h"
#include "qcow/bits.h"
#include "qcow/file.h"
#include "qcow/format.h"
#include "qcow/image.h"

#define PAGE 4096u

/* Older headers lack these. */
#ifndef STATX_DIOALIGN
#define STATX_DIOALIGN 0x2000u
#endif
#define STATX_DIO_MEM_ALIGN    0x98 /* offset in struct statx */
#define STATX_DIO_OFFSET_ALIGN 0x9c

static uint32_t unit; /* that the file system names */
static unsigned int notices;

int __real_statx(int fd, const char *path, int flags, unsigned int mask,
		 struct statx *stx);
int __wrap_statx(int fd, const char *path, int flags, unsigned int mask,
		 struct statx *stx);

int __wrap_statx(int fd, const char *path, int flags, unsigned int mask,
		 struct statx *stx)
{
	int ret = __real_statx(fd, path, flags, mask, stx);

	if (!ret && mask & STATX_DIOALIGN) {
		stx->stx_mask |= STATX_DIOALIGN;
		memcpy((char *)stx + STATX_DIO_MEM_ALIGN, &unit, sizeof(unit));
		memcpy((char *)stx + STATX_DIO_OFFSET_ALIGN, &unit,
		       sizeof(unit));
	}
	return ret;
}

static void count_notice(void *opaque, const char *text)
{
	(void)opaque;
	notices += strstr(text, "page cache") != NULL;
}

static struct qcow_options options_of(void)
{
	return (struct qcow_options){
		.journal_dir = scratch(),
		.cache = QCOW_CACHE_NONE,
		.notice = count_notice,
	};
}

static void expect_image(uint32_t named, uint32_t cluster, bool direct)
{
	const struct qcow_options options = options_of();
	char *path = scratch_path("image");
	struct qcow_error error = { "" };
	struct qcow_image *image;
	char *bytes;

	must_run("qemu-img create -q -f qcow2 -o cluster_size=%u %s 4M",
		 cluster, path);
	unit = named;
	notices = 0;
	if (qcow_open(path, &options, &image, &error))
		die("unit %u, clusters of %u: %s", named, cluster, error.text);
	if (image->file.direct != direct || notices != !direct)
		die("unit %u, clusters of %u: direct %d, told %u times", named,
		    cluster, image->file.direct, notices);
	if (qcow_alignment(image) > PAGE)
		die("unit %u: the image wants %u", named,
		    qcow_alignment(image));
	bytes = file_buffer(PAGE);
	if (!bytes)
		die("out of memory");
	memset(bytes, 7, PAGE);
	if (qcow_write(image, bytes, 0, PAGE) ||
	    qcow_read(image, bytes, 0, PAGE) || bytes[PAGE - 1] != 7)
		die("unit %u, clusters of %u: it is not read as written", named,
		    cluster);
	free(bytes);
	if (qcow_close(image))
		die("cannot close");
	free(path);
}

/* A file with these bytes where qcow2 has its version and cluster size. */
static void expect_bytes(uint32_t magic, uint32_t version, bool direct)
{
	const struct qcow_options options = options_of();
	char *path = scratch_path("raw");
	struct qcow_error error = { "" };
	uint8_t bytes[PAGE] = { 0 };
	struct file file;

	store_be32(bytes + HEADER_MAGIC, magic);
	store_be32(bytes + HEADER_VERSION, version);
	store_be32(bytes + HEADER_CLUSTER_BITS, MIN_CLUSTER_BITS);
	write_file(path, bytes, sizeof(bytes));
	unit = PAGE;
	if (file_open(&file, path, &options, &error))
		die("%s", error.text);
	if (file.direct != direct)
		die("magic %#x, version %u: direct %d", magic, version,
		    file.direct);
	file_close(&file);
	free(path);
}

int main(void)
{
	expect_image(512, 65536, true);
	expect_image(4096, 65536, true);
	expect_image(4096, 4096, true);
	expect_image(4096, 2048, false);
	expect_image(8192, 65536, false);
	expect_image(65536, 65536, false);
	expect_image(65536, 2 << 20, false);
	expect_bytes(QCOW_MAGIC, 3, false);
	expect_bytes(QCOW_MAGIC, 2, false);
	expect_bytes(QCOW_MAGIC, 1, true);
	expect_bytes(0x33c08ed0, 3, true);
	return 0;
}
