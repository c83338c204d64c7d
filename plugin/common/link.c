// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Stable links.
 *
 * A link exists only while its device node does: a write to a dangling link
 * would fill /dev with a plain file.  So the link is made last and removed
 * first.  The link is made under another name and renamed, hence it replaces
 * the link of a dead disk at once.  The lock on all records has made sure
 * before that no living disk has the name.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "plugin/common/link.h"

#define NODE_PATIENCE 5000 /* ms */
#define NODE_INTERVAL 10   /* ms */

void link_path(const struct disk *disk, char path[PATH_MAX])
{
	snprintf(path, PATH_MAX, LINK_DIR "/%s", disk->name);
}

static void target_of(const struct disk *disk, char target[32])
{
	snprintf(target, 32, "../ublkb%d", disk->id);
}

/* devtmpfs makes the node at once; udev alone makes the node later. */
static int wait_for_node(int id)
{
	const struct timespec interval = { .tv_nsec = NODE_INTERVAL * 1000000 };
	char path[32];
	struct stat st;
	int waited;

	snprintf(path, sizeof(path), "/dev/ublkb%d", id);
	for (waited = 0; waited < NODE_PATIENCE; waited += NODE_INTERVAL) {
		if (!stat(path, &st) && S_ISBLK(st.st_mode))
			return 0;
		nanosleep(&interval, NULL);
	}
	return -ENODEV;
}

int link_make(const struct disk *disk)
{
	char path[PATH_MAX], new[PATH_MAX], target[32];
	struct stat st;
	int ret = wait_for_node(disk->id);

	if (ret)
		return ret;
	if (mkdir(LINK_DIR, 0755) && errno != EEXIST)
		return -errno;
	link_path(disk, path);
	if (!lstat(path, &st) && !S_ISLNK(st.st_mode))
		return -EEXIST;

	/* A disk's name has no leading dot, so this is no disk's link. */
	snprintf(new, sizeof(new), LINK_DIR "/.%d", disk->id);
	target_of(disk, target);
	unlink(new);
	if (symlink(target, new))
		return -errno;
	if (rename(new, path)) {
		ret = -errno;
		unlink(new);
		return ret;
	}
	return 0;
}

void link_remove(const struct disk *disk)
{
	char path[PATH_MAX], target[32], found[32];
	ssize_t length;

	link_path(disk, path);
	target_of(disk, target);
	length = readlink(path, found, sizeof(found) - 1);
	if (length < 0)
		return;
	found[length] = '\0';
	if (!strcmp(found, target))
		unlink(path);
}
