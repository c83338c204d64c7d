// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Stable storage: every sync of an image goes through here, but for those of
 * files opened for direct I/O that qcow_map_flush() leaves to its caller.
 *
 * With direct I/O a sync that fails can be made again.  With the page cache it
 * cannot (R17): so the first failure is noted in the image, and from then on
 * every sync of its files fails, until another open reads the disk.
 */
#include <errno.h>
#include <unistd.h>
#include "qcow/file.h"

static int sync_once(struct file *file)
{
	if (file_test_ops(file))
		return file_test_ops(file)->sync(file->test->disk);
	return fdatasync(file->fd) < 0 ? -errno : 0;
}

/*
 * R17: the kernel tells of a failed write-back once and may have marked the
 * lost pages clean.  A second sync would succeed and mean nothing,
 * for any caller.  One at a time, or one that began
 * beside the failing one could succeed before the failure is noted.
 */
static int sync_buffered(struct file *file)
{
	int ret;

	pthread_mutex_lock(&file->sync_lock);
	if (file->sync_lost && *file->sync_lost)
		ret = -EIO;
	else
		ret = sync_once(file);
	if (ret && file->sync_lost)
		*file->sync_lost = true;
	pthread_mutex_unlock(&file->sync_lock);
	return ret;
}

int file_sync(struct file *file)
{
	if (!file->direct)
		return sync_buffered(file);
	/* The image's other file may be a buffered one. */
	if (file->sync_lost && *file->sync_lost)
		return -EIO;
	return sync_once(file);
}
