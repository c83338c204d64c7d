// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Would an image be served?  A trial answers that, since nothing else knows as
 * much.  The open is the real one, but read-only and without locks, so that
 * nothing changes and nobody is disturbed; the judgement is that of an open for
 * writing.
 *
 * An image that somebody writes to is judged by its header and by the files
 * that it names, not by its tables: these change during the look.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include "qcow/error.h"
#include "qcow/image.h"

static int try(const char *path, const struct qcow_options *options,
	       enum qcow_look look, struct qcow_error *error)
{
	const struct qcow_options trial = {
		.read_only = true,
		.cache = QCOW_CACHE_WRITEBACK,
		.references = options->references,
		.journal_dir = options->journal_dir,
		.inline_checkpoint = true,
		.look = look,
	};
	struct qcow_image *image;
	int ret = qcow_open(path, &trial, &image, error);

	return ret ? ret : qcow_close(image);
}

/* Without a key nothing more can be tried, but there is nothing against it
   so far. */
static bool is_fit(int ret, struct qcow_judgement *judgement)
{
	if (ret == -ENOKEY)
		judgement->needs_key = true;
	return !ret || ret == -ENOKEY;
}

static bool is_written(const char *path)
{
	const struct qcow_options options = {
		.read_only = true,
		.cache = QCOW_CACHE_WRITEBACK,
	};
	struct file file;
	bool written;

	if (file_open(&file, path, &options, NULL))
		return false;
	written = lock_is_written(&file);
	file_close(&file);
	return written;
}

/* Would an open for writing fail, although one for reading does not?  Not by
   access(2), which asks for the real user; a command in a jail opens files as
   another one. */
static int find_obstacle(const struct file *file)
{
	const uint64_t fixed = STATX_ATTR_IMMUTABLE | STATX_ATTR_APPEND;
	struct statvfs fs;
	struct statx stx;

	if (file->block_device)
		return file_is_read_only_device(file) ? -EACCES : 0;
	if (!fstatvfs(file->fd, &fs) && fs.f_flag & ST_RDONLY)
		return -EROFS;
	if (!statx(file->fd, "", AT_EMPTY_PATH, STATX_TYPE, &stx) &&
	    stx.stx_attributes & fixed)
		return -EPERM;
	return 0;
}

static int judge_writing(const char *path, struct qcow_error *why)
{
	const struct qcow_options options = {
		.read_only = true,
		.cache = QCOW_CACHE_WRITEBACK,
	};
	struct file file;
	int ret;

	/* The trial has said so. */
	if (file_open(&file, path, &options, NULL))
		return 0;
	ret = find_obstacle(&file);
	if (ret)
		fail(why, ret, "%s%s",
		     ret == -EACCES ? "the device is read-only" :
				      strerror(-ret),
		     file_advice(&file, path, ret));
	file_close(&file);
	return ret;
}

void qcow_judge(const char *path, const struct qcow_options *options,
		struct qcow_judgement *judgement)
{
	struct qcow_error *why = &judgement->why;
	struct qcow_error reader;
	int ret;

	*judgement = (struct qcow_judgement){ .verdict = QCOW_REFUSED };
	if (qcow_check_links(path, options->references, why))
		return;
	judgement->verdict = QCOW_READ_WRITE;
	judgement->is_written = is_written(path);
	ret = try(path, options, QCOW_LOOK_WRITER, why);
	if (is_fit(ret, judgement))
		ret = judge_writing(path, why);
	if (is_fit(ret, judgement))
		return;
	judgement->verdict = QCOW_READ_ONLY;
	if (is_fit(try(path, options, QCOW_LOOK_READER, &reader), judgement))
		return;
	judgement->verdict = QCOW_REFUSED;
	*why = reader;
}
