// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The space of a file: its size, holes in it, and places for bytes to come.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/vfs.h>
#include <unistd.h>
#include "qcow/bits.h"
#include "qcow/file.h"
#include "qcow/format.h"
#include "qcow/lease.h"

int file_punch(struct file *file, uint64_t offset, uint64_t length)
{
	int ret;

	if (file_test_ops(file))
		return file_test_ops(file)->punch(file->test->disk, offset,
						  length);
	lease_begin(file->lease);
	ret = fallocate(file->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			offset, length) < 0 ?
		      -errno :
		      0;
	lease_end(file->lease);
	return ret;
}

bool file_is_hole(struct file *file, uint64_t offset, uint64_t length)
{
	const struct qcow_file_ops *ops = file_test_ops(file);
	off_t data;

	if (ops)
		return ops->is_hole &&
		       ops->is_hole(file->test->disk, offset, length);
	if (file->block_device)
		return false;
	data = lseek(file->fd, offset, SEEK_DATA);
	return data < 0 ? errno == ENXIO : (uint64_t)data >= offset + length;
}

int file_size(struct file *file, uint64_t *size)
{
	off_t end;

	if (file_test_ops(file)) {
		*size = file_test_ops(file)->size(file->test->disk);
		return 0;
	}
	end = lseek(file->fd, 0, SEEK_END);
	if (end < 0)
		return -errno;
	*size = end;
	return 0;
}

/* The tests' own disk gets longer by a write. */
int file_set_size(struct file *file, uint64_t size)
{
	int ret = 0;

	if (file_test_ops(file))
		return file_write_zeroes(file, size - QCOW_SECTOR, QCOW_SECTOR);
	lease_begin(file->lease);
	if (ftruncate(file->fd, size) < 0)
		ret = -errno;
	lease_end(file->lease);
	return ret;
}

int file_cut(struct file *file, uint64_t size)
{
	const struct qcow_file_ops *ops = file_test_ops(file);

	if (!ops)
		return file_set_size(file, size);
	return ops->cut ? ops->cut(file->test->disk, size) : -EOPNOTSUPP;
}

/* Where it is one step, as the writes beside it are: under one lock of one
   host.  Where it is made of several, it could cut off the bytes that a write
   has just added. */
static const uint32_t setting_aside[] = {
	EXT4_SUPER_MAGIC,
	XFS_SUPER_MAGIC,
	TMPFS_MAGIC,
};

bool file_can_set_aside(const struct file *file)
{
	struct statfs fs;

	if (file_test_ops(file))
		return file_test_ops(file)->set_aside;
	if (file->block_device || fstatfs(file->fd, &fs) < 0)
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(setting_aside); i++)
		if ((uint32_t)fs.f_type == setting_aside[i])
			return true;
	return false;
}

int file_set_aside(struct file *file, uint64_t offset, uint64_t length)
{
	const struct qcow_file_ops *ops = file_test_ops(file);
	int ret;

	if (ops)
		return ops->set_aside(file->test->disk, offset, length);
	lease_begin(file->lease);
	ret = fallocate(file->fd, 0, offset, length) < 0 ? -errno : 0;
	lease_end(file->lease);
	return ret;
}
