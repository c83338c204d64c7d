// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The file behind a loop device (P4).
 *
 * Whoever opens the file itself finds no lock of the device's users, and they
 * find none of that process.  So a supervisor locks the file as well, where the
 * device shows the whole of it: a part may be anybody's, and so may the rest.
 *
 * The device tells the file's number, and only the path by which the file was
 * opened.  Another file may have that path by now, or none.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/loop.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/sysmacros.h>
#include <sys/types.h>
#include <unistd.h>

#include "plugin/common/log.h"
#include "plugin/supervisor/loop.h"
#include "qcow/lock.h"

/* False: it is no loop device; a partition of one has no such file. */
static bool find_path(dev_t device, char path[PATH_MAX])
{
	char name[80];
	ssize_t length;
	int fd;

	snprintf(name, sizeof(name), "/sys/dev/block/%u:%u/loop/backing_file",
		 major(device), minor(device));
	fd = open(name, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	length = read(fd, path, PATH_MAX - 1);
	close(fd);
	if (length <= 0)
		return false;
	/* A newline ends it, and there may be others in it. */
	path[length - 1] = '\0';
	return true;
}

static bool get_status(const char *device, struct loop_info64 *info)
{
	int fd = open(device, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	bool is_told;

	if (fd < 0)
		return false;
	is_told = !ioctl(fd, LOOP_GET_STATUS64, info);
	close(fd);
	return is_told;
}

/* In the kernel's own encoding. */
static dev_t decode(uint64_t device)
{
	return makedev(device >> 8 & 0xfff,
		       (device & 0xff) | (device >> 12 & 0xfff00));
}

/* As a reader at first: a writer's request for the fence would wait for a
   server of ours, as if that one were dead. */
static int lock_file(const char *path, const struct loop_info64 *info,
		     bool read_only, struct qcow_lock **lock,
		     struct qcow_error *error)
{
	struct qcow_identity identity;
	int ret = qcow_lock(path, NULL, true, true, lock, error);

	if (ret)
		return ret;
	qcow_lock_identify(*lock, &identity);
	if (identity.inode != info->lo_inode ||
	    identity.device != decode(info->lo_device)) {
		snprintf(error->text, sizeof(error->text),
			 "another file has that path");
		ret = -ESTALE;
	} else if (!read_only) {
		ret = qcow_lock_raise(*lock, error);
	}
	if (ret) {
		qcow_unlock(*lock);
		*lock = NULL;
	}
	return ret;
}

int loop_lock(const char *device, const struct qcow_identity *identity,
	      bool read_only, struct qcow_lock **lock, struct qcow_error *error)
{
	struct loop_info64 info;
	struct qcow_error why;
	char path[PATH_MAX];
	int ret;

	*lock = NULL;
	if (identity->inode || !find_path(identity->device, path) ||
	    !get_status(device, &info) || info.lo_offset || info.lo_sizelimit)
		return 0;
	ret = lock_file(path, &info, read_only, lock, &why);
	if (ret == -EBUSY) {
		snprintf(error->text, sizeof(error->text),
			 "the file %.150s behind it: %.300s", path, why.text);
		return ret;
	}
	if (ret)
		log_line(LOG_WARNING,
			 "cannot lock the file %.200s behind %.100s: %s; "
			 "nobody else must write to it",
			 path, device, why.text);
	return 0;
}
