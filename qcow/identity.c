// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The identity of a file, by any name: device and inode, and the time of its
 * birth, since an inode is used again after its file is deleted.  A file system
 * without births gives 0, which any birth matches.
 *
 * A block device is known by its device number alone, under whichever node it
 * was opened.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include "qcow/error.h"
#include "qcow/file.h"
#include "qcow/names-used.h"

/* 0 where the file system does not know it. */
static uint64_t birth_of(int fd)
{
	struct statx stx;

	if (statx(fd, "", AT_EMPTY_PATH, STATX_BTIME, &stx) < 0 ||
	    !(stx.stx_mask & STATX_BTIME))
		return 0;
	return stx.stx_btime.tv_sec * 1000000000ull + stx.stx_btime.tv_nsec;
}

/* A block device is the same under every node. */
static void identify(const struct stat *st, uint64_t birth,
		     struct qcow_identity *identity)
{
	if (S_ISBLK(st->st_mode))
		*identity = (struct qcow_identity){ .device = st->st_rdev };
	else
		*identity = (struct qcow_identity){
			.device = st->st_dev,
			.inode = st->st_ino,
			.birth = birth,
		};
}

int file_look(struct file *file, struct stat *st)
{
	const struct qcow_names *names = file->names;

	if (fstat(file->fd, st) < 0)
		return errno == EACCES && names->look_at_open ?
			       names->look_at_open(names->opaque, file->fd, st,
						   &file->identity) :
			       -errno;
	identify(st, birth_of(file->fd), &file->identity);
	return 0;
}

int qcow_identify_path(const char *path, struct qcow_identity *identity)
{
	struct file file = { .fd = names_find(path), .names = qcow_names_here };
	struct stat st;
	int ret;

	if (file.fd < 0)
		return file.fd;
	ret = file_look(&file, &st);
	*identity = file.identity;
	close(file.fd);
	return ret;
}

int qcow_identify_file(int fd, struct qcow_identity *identity)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	identify(&st, birth_of(fd), identity);
	return 0;
}

bool file_is(const struct file *file, const struct qcow_identity *identity)
{
	return identity_matches(&file->identity, identity);
}

int file_check(const struct file *file, const struct qcow_identity *identity,
	       struct qcow_error *error)
{
	if ((!identity->device && !identity->inode) || file_is(file, identity))
		return 0;
	return fail(
		error, -ESTALE,
		"another file has taken its name; put back the file that was there");
}
