// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Whether an image has room to grow.
 *
 * A server has no privileges.  So it may not use the blocks that a file system
 * keeps for root, and the quotas of the image's user, group and project hold
 * for it.  A quota that does not exist, or that nobody may ask for, is none:
 * a try will tell.
 */
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/fs.h>
#include <linux/quota.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "plugin/common/privileges.h"
#include "plugin/libvirt/child.h"
#include "plugin/libvirt/room.h"

#define ROOM	 (16 << 20) /* bytes, enough to try */
#define PATIENCE 5000	    /* ms */

#define QUOTA_BLOCK 1024ull /* bytes; the unit of limits */

/* A soft limit holds when its time of grace is over. */
static bool is_allowed(const struct if_dqblk *quota)
{
	uint64_t then = quota->dqb_curspace + ROOM;
	bool late = quota->dqb_btime && (time_t)quota->dqb_btime <= time(NULL);

	if (quota->dqb_bhardlimit && then > quota->dqb_bhardlimit * QUOTA_BLOCK)
		return false;
	return !late || !quota->dqb_bsoftlimit ||
	       then <= quota->dqb_bsoftlimit * QUOTA_BLOCK;
}

/* The macro shifts a command that is no int. */
static bool may_have(int fd, unsigned int type, unsigned int id)
{
	const unsigned int command = QCMD((unsigned int)Q_GETQUOTA, type);
	struct if_dqblk quota;

	return syscall(SYS_quotactl_fd, fd, command, id, &quota) ||
	       is_allowed(&quota);
}

static bool has_room(int fd)
{
	struct fsxattr attributes;
	struct statvfs fs;
	struct stat st;

	if (fstat(fd, &st))
		return false;
	if (S_ISBLK(st.st_mode))
		return true;
	if (fstatvfs(fd, &fs) || (uint64_t)fs.f_bavail * fs.f_frsize < ROOM)
		return false;
	return may_have(fd, USRQUOTA, st.st_uid) &&
	       may_have(fd, GRPQUOTA, st.st_gid) &&
	       (ioctl(fd, FS_IOC_FSGETXATTR, &attributes) ||
		may_have(fd, PRJQUOTA, attributes.fsx_projid));
}

static int look(const void *image)
{
	int fd = open(image, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

	/* Only root may ask for the quota of another. */
	privileges_take(CAP_SYS_ADMIN);
	return fd >= 0 && has_room(fd) ? EXIT_SUCCESS : EXIT_FAILURE;
}

bool room_for(const char *image)
{
	size_t length;

	return !child_run(look, image, PATIENCE, NULL, 0, &length);
}
