// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * FILE.part: a file that is being made.  It becomes FILE when all of it is on
 * stable storage.
 *
 * A command that is killed leaves its part, and the next one removes that.  A
 * command that lives has locked the name: the part itself may lie on another
 * host, whose locks would be in the way of qemu-img's.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "plugin/commands/part.h"
#include "plugin/common/log.h"
#include "plugin/common/owner.h"
#include "plugin/server/fault.h"
#include "qcow/lock.h"

#define PART_MODE     0600
#define LOCK_PATIENCE 2000 /* ms; for one that was killed */

/* A backup that was killed left the part: a file for root alone, and no
   qemu-img is at work on that file. */
static int clear_part(const char *part)
{
	struct qcow_error error;
	struct qcow_lock *lock;
	struct stat st;
	int ret;

	if (lstat(part, &st))
		return errno == ENOENT ?
			       EXIT_SUCCESS :
			       complain("%s: %s", part, strerror(errno));
	if (!S_ISREG(st.st_mode) || (st.st_mode & 07777) != PART_MODE)
		return complain("%s: is in the way, and not left of a backup",
				part);
	ret = qcow_lock(part, NULL, false, true, &lock, &error);
	if (ret)
		return complain("%s: %s", part, error.text);
	unlink(part);
	qcow_unlock(lock);
	return EXIT_SUCCESS;
}

/* Another backup of that name has its part before qemu-img is at work on it,
   and would take ours for its own.  The lock ends with this process. */
static int lock_part(const char *part)
{
	int lock;
	int ret = owner_lock(part, LOCK_PATIENCE, &lock);

	if (!ret)
		return EXIT_SUCCESS;
	return complain("%s: %s", part,
			ret == -EBUSY ? "another backup is making it" :
					strerror(-ret));
}

int part_make(const char *part)
{
	int fd;

	if (lock_part(part) || clear_part(part))
		return EXIT_FAILURE;
	fd = open(part, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, PART_MODE);
	if (fd < 0)
		return complain("%s: %s", part, strerror(errno));
	close(fd);
	return EXIT_SUCCESS;
}

/* ---- its end ---- */

static int sync_path(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	int ret;

	if (fd < 0)
		return -errno;
	ret = fsync(fd) ? -errno : 0;
	close(fd);
	return ret;
}

/* In one step, where the file system has that.  A death between two steps
   leaves both names. */
static int give_name(const char *part, const char *file)
{
	if (!renameat2(AT_FDCWD, part, AT_FDCWD, file, RENAME_NOREPLACE))
		return 0;
	if (errno != EINVAL && errno != ENOSYS)
		return -errno;
	return link(part, file) || unlink(part) ? -errno : 0;
}

/* The copy is on stable storage before the copy has its name, and replaces no
   file. */
int part_finish(const char *part, const char *file)
{
	char directory[PATH_MAX];
	int ret = sync_path(part);

	snprintf(directory, sizeof(directory), "%s", file);
	*(strrchr(directory, '/') + 1) = '\0';
	fault_die("die-copied");
	if (!ret)
		ret = give_name(part, file);
	fault_die("die-named");
	if (!ret)
		ret = sync_path(directory);
	return ret ? complain("%s: %s", file, strerror(-ret)) : EXIT_SUCCESS;
}
