// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The node of a device.
 *
 * The driver wants the server to open /dev/ublkcN itself, when the image is
 * open; by then the server has no path to /dev and no right to the node.  So
 * there is a tmpfs that is mounted nowhere, of which server and clerk have a
 * descriptor.  The clerk makes a node in it when the server asks for that, and
 * Landlock lets the server open the files in there, and nothing else.  When
 * both have closed the descriptor the tmpfs is gone.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>
#include "plugin/server/fault.h"
#include "plugin/server/node.h"

#define PATIENCE 5000 /* ms */
#define INTERVAL 10   /* ms */
#define TRIAL	 "trial"

/* A host that forbids to make nodes says so before anybody relies on them. */
static int try_node(int directory)
{
	if (mknodat(directory, TRIAL, S_IFCHR, makedev(1, 3)) < 0 ||
	    unlinkat(directory, TRIAL, 0) < 0)
		return -errno;
	return 0;
}

static int make_tmpfs(void)
{
	int fs = syscall(SYS_fsopen, "tmpfs", FSOPEN_CLOEXEC);
	int fd = -1;

	if (fs < 0)
		return -errno;
	if (syscall(SYS_fsconfig, fs, FSCONFIG_SET_STRING, "mode", "0711", 0) ==
		    0 &&
	    syscall(SYS_fsconfig, fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) == 0)
		fd = syscall(SYS_fsmount, fs, FSMOUNT_CLOEXEC,
			     MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC);
	fd = fd < 0 ? -errno : fd;
	close(fs);
	return fd;
}

int node_directory(void)
{
	int fd = fault("no-nodes") ? -EPERM : make_tmpfs();
	int ret = fd < 0 ? fd : try_node(fd);

	if (!ret)
		return fd;
	if (fd >= 0)
		close(fd);
	return ret;
}

static int await_node(const char *path, struct stat *st)
{
	const struct timespec pause = { .tv_nsec = INTERVAL * 1000000L };
	int waited;

	for (waited = 0; stat(path, st) < 0; waited += INTERVAL) {
		if (errno != ENOENT || waited >= PATIENCE)
			return -errno;
		nanosleep(&pause, NULL);
	}
	return S_ISCHR(st->st_mode) ? 0 : -ENODEV;
}

int node_make(int directory, int id, unsigned int user)
{
	char path[32], name[32];
	struct stat st;
	int ret;

	snprintf(path, sizeof(path), "/dev/ublkc%d", id);
	snprintf(name, sizeof(name), "ublkc%d", id);
	ret = await_node(path, &st);
	if (ret)
		return ret;
	if (directory < 0)
		return chown(path, user, user) < 0 ? -errno : 0;
	if ((mknodat(directory, name, S_IFCHR, st.st_rdev) < 0 &&
	     errno != EEXIST) ||
	    fchmodat(directory, name, 0666, 0) < 0)
		return -errno;
	return 0;
}

int node_open(int directory, int id)
{
	const struct timespec pause = { .tv_nsec = INTERVAL * 1000000L };
	char path[32];
	int waited = 0;
	int fd;

	snprintf(path, sizeof(path), "%sublkc%d", directory < 0 ? "/dev/" : "",
		 id);
	while ((fd = openat(directory < 0 ? AT_FDCWD : directory, path,
			    O_RDWR | O_CLOEXEC)) < 0 &&
	       errno == EBUSY && waited < PATIENCE) {
		nanosleep(&pause, NULL);
		waited += INTERVAL;
	}
	return fd < 0 ? -errno : fd;
}
