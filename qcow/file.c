// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The seam under the engine: a file, read and written in full or not at all.
 *
 * One open file description does everything.  Data and metadata go through one
 * I/O mode (R15): otherwise a buffered page of metadata could overwrite bytes
 * that were written directly beside it.  The fence lock lives on the
 * description, and so covers every request (R14).
 *
 * With O_DIRECT the file system may want I/O aligned to more than a sector
 * (alignment.c).  If that is more than a cluster, tables could not be written
 * without touching their neighbours; if it is more than a page, buffers and
 * the reads of a header are too small.  Then the page cache is used after all.
 *
 * A file that ends early reads as zero past its end, as the format says.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>
#include "qcow/bits.h"
#include "qcow/error.h"
#include "qcow/file.h"
#include "qcow/format.h"
#include "qcow/lease.h"

#define ZERO_CHUNK (64u << 10)

static int full_read(int fd, void *buffer, uint64_t offset, size_t length)
{
	size_t done = 0;

	while (done < length) {
		ssize_t n = pread(fd, (char *)buffer + done, length - done,
				  offset + done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		done += n;
	}
	memset((char *)buffer + done, 0, length - done);
	return 0;
}

static int full_write(int fd, const void *buffer, uint64_t offset,
		      size_t length)
{
	while (length) {
		ssize_t n = pwrite(fd, buffer, length, offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			return -EIO;
		buffer = (const char *)buffer + n;
		offset += n;
		length -= n;
	}
	return 0;
}

void *file_buffer(size_t length)
{
	void *buffer = NULL;

	if (posix_memalign(&buffer, MAX_ALIGNMENT,
			   round_up(length, MAX_ALIGNMENT)))
		return NULL;
	return buffer;
}

/* Only a header of qcow2 has a cluster size there: the bytes of a raw file are
   the guest's, and version 1 keeps its time there. */
static bool is_qcow2(const uint8_t *header)
{
	return load_be32(header + HEADER_MAGIC) == QCOW_MAGIC &&
	       load_be32(header + HEADER_VERSION) >= 2;
}

/* The greatest unit of direct I/O that suits the file. */
static uint64_t greatest_unit(int fd)
{
	uint8_t *header = file_buffer(MAX_ALIGNMENT);
	uint64_t unit = MAX_ALIGNMENT;

	if (header && !full_read(fd, header, 0, MAX_ALIGNMENT) &&
	    is_qcow2(header)) {
		uint32_t bits = load_be32(header + HEADER_CLUSTER_BITS);

		if (bits >= MIN_CLUSTER_BITS && bits <= MAX_CLUSTER_BITS)
			unit = min_u64(unit, 1ull << bits);
	}
	free(header);
	return unit;
}

/* 0 if the descriptor is fit for direct I/O, filling in the alignment. */
static int check_direct(struct file *file)
{
	file->alignment = file_find_alignment(file);
	if (!file->alignment)
		return -EINVAL;
	if (file->alignment > greatest_unit(file->fd))
		return -EINVAL;
	return 0;
}

static int open_direct(struct file *file, const char *path, int flags)
{
	int ret;

	file->fd = file->names->open(file->names->opaque, path,
				     flags | O_DIRECT);
	if (file->fd < 0)
		return file->fd;
	ret = check_direct(file);
	if (ret)
		file_close(file);
	return ret;
}

static int open_buffered(struct file *file, const char *path, int flags)
{
	file->direct = false;
	file->alignment = QCOW_SECTOR;
	file->fd = file->names->open(file->names->opaque, path, flags);
	return file->fd < 0 ? file->fd : 0;
}

static void tell_buffered(const struct qcow_options *options)
{
	if (options->notice)
		options->notice(
			options->opaque,
			"its disk has no direct I/O in units that suit the image; the page cache is used instead");
}

static int open_either(struct file *file, const char *path,
		       const struct qcow_options *options)
{
	int flags = (options->read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC |
		    O_NOCTTY | O_NONBLOCK;
	int ret;

	file->direct = options->cache == QCOW_CACHE_NONE;
	if (!file->direct)
		return open_buffered(file, path, flags);
	ret = open_direct(file, path, flags);
	if (ret != -EINVAL)
		return ret;
	ret = open_buffered(file, path, flags);
	if (!ret)
		tell_buffered(options);
	return ret;
}

static const char *name_kind(mode_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFDIR:
		return "a directory";
	case S_IFIFO:
		return "a pipe";
	case S_IFSOCK:
		return "a socket";
	default:
		return "a character device";
	}
}

static int check_kind(const struct stat *st, struct qcow_error *error)
{
	if (S_ISREG(st->st_mode) || S_ISBLK(st->st_mode))
		return 0;
	return fail(error, -EINVAL,
		    "is %s, neither a regular file nor a block device",
		    name_kind(st->st_mode));
}

/* Even to open some devices does something. */
static int check_before(const struct file *file, const char *path,
			struct qcow_error *error)
{
	struct stat st;

	return file->names->look(file->names->opaque, path, &st) ?
		       0 :
		       check_kind(&st, error);
}

static int check_type(struct file *file, struct qcow_error *error)
{
	struct stat st;
	int ret;

	ret = file_look(file, &st);
	if (ret)
		return fail(error, ret, "%s", strerror(-ret));
	ret = check_kind(&st, error);
	if (ret)
		return ret;
	/* O_NONBLOCK kept the open of another kind of file from blocking;
	   io_uring would take the flag for a wish never to wait for a disk. */
	if (fcntl(file->fd, F_SETFL, file->direct ? O_DIRECT : 0) < 0)
		return fail(error, -errno, "%s", strerror(errno));
	file->block_device = S_ISBLK(st.st_mode) ||
			     (file->test && file->test->block_device);
	return 0;
}

/* The kernel lets root open one for writing, and every write fail. */
bool file_is_read_only_device(const struct file *file)
{
	int read_only = 0;

	return file->block_device && !ioctl(file->fd, BLKROGET, &read_only) &&
	       read_only;
}

const char *file_advice(const struct file *file, const char *path, int error)
{
	struct stat st;

	if (error == -EROFS)
		return "; serve it with --read-only, or remount that read-write";
	if (error == -EPERM)
		return "; it is immutable or append-only, as lsattr shows: take that off with 'chattr -i -a', or serve it with --read-only";
	if (error == -EACCES &&
	    !file->names->look(file->names->opaque, path, &st) &&
	    S_ISBLK(st.st_mode))
		return "; make it writable with 'blockdev --setrw', or serve it with --read-only";
	return "";
}

/* If the page cache has any page of the file, each direct write looks for pages
   of its place: a few pages that another program has read make each write
   dearer by a twentieth. */
static void forget_cached(const struct file *file)
{
	posix_fadvise(file->fd, 0, 0, POSIX_FADV_DONTNEED);
}

/* Names that another process uses (names.h) lead to known files only. */
static const char *reason(int error)
{
	return error == -ESTALE ?
		       "another file has taken its name; put back the file that was there" :
		       strerror(-error);
}

int file_open(struct file *file, const char *path,
	      const struct qcow_options *options, struct qcow_error *error)
{
	int ret;

	*file = (struct file){
		.fd = -1,
		.names = options->names ? options->names : qcow_names_here,
		.test = options->test,
		.sync_lock = PTHREAD_MUTEX_INITIALIZER,
	};
	ret = check_before(file, path, error);
	if (ret)
		return ret;
	ret = open_either(file, path, options);
	if (ret)
		return fail(error, ret, "%s%s", reason(ret),
			    options->read_only ? "" :
						 file_advice(file, path, ret));
	ret = check_type(file, error);
	if (!ret && !options->read_only && file_is_read_only_device(file))
		ret = fail(error, -EACCES, "the device is read-only%s",
			   file_advice(file, path, -EACCES));
	if (ret)
		file_close(file);
	else if (file->direct && !options->read_only)
		forget_cached(file);
	return ret;
}

void file_close(struct file *file)
{
	if (file->claim > 0)
		close(file->claim);
	if (file->fd >= 0)
		close(file->fd);
	file->claim = 0;
	file->fd = -1;
}

int file_read(struct file *file, void *buffer, uint64_t offset, size_t length)
{
	if (file_test_ops(file))
		return file_test_ops(file)->read(file->test->disk, buffer,
						 offset, length);
	return full_read(file->fd, buffer, offset, length);
}

int file_read_loosely(struct file *file, void *buffer, uint64_t offset,
		      size_t length)
{
	uint64_t start = round_down(offset, file->alignment);
	size_t span = round_up(offset + length, file->alignment) - start;
	uint8_t *bytes;
	int ret;

	if (is_aligned((uintptr_t)buffer | offset | length, file->alignment))
		return file_read(file, buffer, offset, length);
	bytes = file_buffer(span);
	if (!bytes)
		return -ENOMEM;
	ret = file_read(file, bytes, start, span);
	memcpy(buffer, bytes + (offset - start), length);
	free(bytes);
	return ret;
}

int file_write_leased(struct file *file, const void *buffer, uint64_t offset,
		      size_t length)
{
	if (file_test_ops(file))
		return file_test_ops(file)->write(file->test->disk, buffer,
						  offset, length);
	return full_write(file->fd, buffer, offset, length);
}

int file_write(struct file *file, const void *buffer, uint64_t offset,
	       size_t length)
{
	struct lease *lease = file_test_ops(file) ? NULL : file->lease;
	int ret;

	lease_begin(lease);
	ret = file_write_leased(file, buffer, offset, length);
	lease_end(lease);
	return ret;
}

int file_write_zeroes(struct file *file, uint64_t offset, uint64_t length)
{
	static const char zeroes[ZERO_CHUNK]
		__attribute__((aligned(MAX_ALIGNMENT)));

	while (length) {
		size_t n = min_u64(length, ZERO_CHUNK);
		int ret = file_write(file, zeroes, offset, n);

		if (ret)
			return ret;
		offset += n;
		length -= n;
	}
	return 0;
}

int file_write_entries(struct file *file, const uint64_t *entries,
		       uint32_t count, uint64_t offset)
{
	uint64_t *buffer = file_buffer(count * 8ull);
	int ret;

	if (!buffer)
		return -ENOMEM;
	for (uint32_t i = 0; i < count; i++)
		store_be64(&buffer[i], entries[i]);
	ret = file_write(file, buffer, offset, count * 8ull);
	free(buffer);
	return ret;
}
