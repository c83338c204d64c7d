// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The users of a device are found by its number, whatever its name: a mount of
 * another node of the device, of a partition, of a file system that has several
 * disks, and swap.  A device that stands upon one of its partitions is found,
 * too.
 *
 * There is no such device here: its node and the kernel's lists are played.
 *
 * usage: users
 */
#include <glob.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include "tests/lib/helpers.h"
#include "plugin/supervisor/use.h"

#define ID	 4321
#define OTHER_ID 4322

static const char *mounts = "", *swaps = "";

FILE *__real_fopen(const char *path, const char *mode);
FILE *__wrap_fopen(const char *path, const char *mode);
int __real_glob(const char *pattern, int flags,
		int (*failed)(const char *path, int error), glob_t *found);
int __wrap_glob(const char *pattern, int flags,
		int (*failed)(const char *path, int error), glob_t *found);
int __real_stat(const char *path, struct stat *st);
int __wrap_stat(const char *path, struct stat *st);

int __wrap_glob(const char *pattern, int flags,
		int (*failed)(const char *path, int error), glob_t *found)
{
	char *path = NULL;
	int ret;

	if (!strncmp(pattern, "/sys/", 5))
		path = scratch_path(pattern + 1);
	ret = __real_glob(path ? path : pattern, flags, failed, found);
	free(path);
	return ret;
}

FILE *__wrap_fopen(const char *path, const char *mode)
{
	const char *text = NULL;

	if (!strcmp(path, "/proc/self/mountinfo"))
		text = mounts;
	if (!strcmp(path, "/proc/swaps"))
		text = swaps;
	if (!text)
		return __real_fopen(path, mode);
	return *text ? fmemopen((char *)text, strlen(text), "r") : NULL;
}

int __wrap_stat(const char *path, struct stat *st)
{
	static const struct {
		const char *path;
		unsigned int minor;
	} nodes[] = {
		{ "/dev/ublkb4321", 4321 },
		{ "/dev/ublkb4322", 4322 },
		{ "/srv/node", 4321 },
	};

	for (unsigned int i = 0; i < sizeof(nodes) / sizeof(*nodes); i++)
		if (!strcmp(path, nodes[i].path)) {
			*st = (struct stat){
				.st_mode = S_IFBLK,
				.st_rdev = makedev(259, nodes[i].minor),
			};
			return 0;
		}
	return __real_stat(path, st);
}

/* Both functions, with the user named so; NULL: nobody. */
static void expect(const char *what, const char *user)
{
	char who[256] = "";

	if (use_find(ID, false, who, sizeof(who)) != !!user ||
	    (user && strcmp(who, user)))
		die("%s: used by '%s'", what, who);
	*who = '\0';
	if (use_find_visible(ID, who, sizeof(who)) != !!user ||
	    (user && strcmp(who, user)))
		die("%s: visibly used by '%s'", what, who);
	if (use_find(OTHER_ID, false, who, sizeof(who)) ||
	    use_find_visible(OTHER_ID, who, sizeof(who)))
		die("%s: another device is used by '%s'", what, who);
}

static void expect_mount(const char *what, const char *line, bool found)
{
	mounts = line;
	expect(what, found ? "the mount at /mnt" : NULL);
	mounts = "";
}

static void expect_swap(const char *what, const char *lines, bool found)
{
	swaps = lines;
	expect(what, found ? "swap" : NULL);
	swaps = "";
}

/* In sysfs, below the device. */
static void expect_held(const char *what, const char *place, bool found)
{
	char *path = scratch_path("sys");

	must_run("mkdir -p %s/block/%s/dm-7", path, place);
	expect(what, found ? "the device dm-7" : NULL);
	must_run("rm -r %s", path);
	free(path);
}

int main(void)
{
	expect("nobody", NULL);
	expect_mount(
		"its node",
		"31 1 259:4321 / /mnt rw shared:1 - ext4 /dev/ublkb4321 rw\n",
		true);
	expect_mount("another node",
		     "31 1 259:4321 / /mnt rw shared:1 - ext4 /srv/node rw\n",
		     true);
	expect_mount("several disks",
		     "31 1 0:44 / /mnt rw shared:1 - btrfs /dev/ublkb4321 rw\n",
		     true);
	expect_mount("a partition",
		     "31 1 259:9 / /mnt rw - ext4 /dev/ublkb4321p2 rw\n", true);
	expect_mount("a longer id",
		     "31 1 259:9 / /mnt rw - ext4 /dev/ublkb43210 rw\n", false);
	expect_mount("another device",
		     "31 1 259:43 / /mnt rw - ext4 /dev/sda rw\n", false);
	expect_swap("swap",
		    "Filename\tType\n/dev/ublkb4321 partition\t1 0 -2\n", true);
	expect_swap("swap on another node",
		    "Filename\tType\n/srv/node partition\t1 0 -2\n", true);
	expect_swap("swap in a file",
		    "Filename\tType\n/srv/node file\t1 0 -2\n", false);
	expect_held("a device upon it", "ublkb4321/holders", true);
	expect_held("a device upon its partition",
		    "ublkb4321/ublkb4321p2/holders", true);
	expect_held("a device upon another", "ublkb43210/holders", false);
	return 0;
}
