// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The users of a device: drivers before 7.0 stop one without asking.
 *
 * The places are looked at in which the most telling answer comes first:
 * devices stacked on this one, loop devices, devices that the kernel exports to
 * other hosts, mounts, swap, and the descriptors of all processes.  Each also
 * counts for a partition of the device.  The devices' numbers count: a node may
 * have any name.  If none of these places shows a user, such as a mount in
 * another namespace, an exclusive open still fails.
 *
 * Between the answer and an action upon it somebody may come: only the
 * driver could exclude that, and the newer ones do.
 */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <limits.h>
#include <linux/loop.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "plugin/supervisor/use.h"

#define PARTITIONS_MAX 255

struct target {
	char node[32]; /* /dev/ublkb<id>; empty: not known */
	dev_t devices[PARTITIONS_MAX + 1]; /* it and its partitions */
	unsigned int nr_devices;
	bool writers; /* only processes that may write to it */
	pid_t except[2];
	char *who;
	size_t size;
};

/* The device's node or that of one of its partitions. */
static bool is_node(const struct target *target, const char *path)
{
	size_t length = strlen(target->node);

	if (!length || strncmp(path, target->node, length))
		return false;
	return !path[length] || path[length] == 'p' ||
	       isspace((unsigned char)path[length]);
}

static bool is_device(const struct target *target, dev_t device)
{
	unsigned int i;

	for (i = 0; i < target->nr_devices; i++)
		if (target->devices[i] == device)
			return true;
	return false;
}

/* The numbers that a pattern in sysfs finds in files called dev. */
static void note_devices(struct target *target, const char *pattern)
{
	unsigned int major, minor;
	glob_t found;
	size_t i;

	if (glob(pattern, 0, NULL, &found))
		return;
	for (i = 0; i < found.gl_pathc; i++) {
		FILE *file = fopen(found.gl_pathv[i], "re");

		if (!file)
			continue;
		if (target->nr_devices <= PARTITIONS_MAX &&
		    fscanf(file, "%u:%u", &major, &minor) == 2)
			target->devices[target->nr_devices++] = makedev(major,
									minor);
		fclose(file);
	}
	globfree(&found);
}

/* A loop device has its file open in the kernel and in no process. */
static bool looped(const struct target *target)
{
	struct loop_info64 info;
	bool found = false;
	glob_t loops;
	size_t i;

	if (glob("/sys/block/loop*/loop/backing_file", 0, NULL, &loops))
		return false;
	for (i = 0; !found && i < loops.gl_pathc; i++) {
		char path[64], name[32];
		int fd;

		if (sscanf(loops.gl_pathv[i], "/sys/block/%31[^/]", name) != 1)
			continue;
		snprintf(path, sizeof(path), "/dev/%s", name);
		fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
		if (fd < 0)
			continue;
		/* In the kernel's own encoding. */
		found = !ioctl(fd, LOOP_GET_STATUS64, &info) &&
			is_device(target,
				  makedev(info.lo_rdevice >> 8 & 0xfff,
					  (info.lo_rdevice & 0xff) |
						  (info.lo_rdevice >> 12 &
						   0xfff00)));
		close(fd);
		if (found)
			snprintf(target->who, target->size,
				 "the loop device %s", path);
	}
	globfree(&loops);
	return found;
}

/* Files of the kernel's targets for SCSI and NVMe that name a device. */
static bool exported(const struct target *target)
{
	static const char *const patterns[] = {
		"/sys/kernel/config/target/core/*/*/udev_path",
		"/sys/kernel/config/nvmet/subsystems/*/namespaces/*/device_path",
	};
	bool found = false;
	size_t p, i;

	for (p = 0; !found && p < sizeof(patterns) / sizeof(*patterns); p++) {
		glob_t files;

		if (glob(patterns[p], 0, NULL, &files))
			continue;
		for (i = 0; !found && i < files.gl_pathc; i++) {
			char line[PATH_MAX] = "";
			FILE *file = fopen(files.gl_pathv[i], "re");
			struct stat st;

			if (!file)
				continue;
			if (fgets(line, sizeof(line), file))
				line[strcspn(line, "\n")] = '\0';
			fclose(file);
			found = *line && !stat(line, &st) &&
				S_ISBLK(st.st_mode) &&
				is_device(target, st.st_rdev);
			if (found)
				snprintf(target->who, target->size,
					 "the kernel's target %.200s",
					 files.gl_pathv[i]);
		}
		globfree(&files);
	}
	return found;
}

static bool is_held(const struct target *target, const char *pattern)
{
	glob_t holders;

	if (glob(pattern, 0, NULL, &holders))
		return false;
	snprintf(target->who, target->size, "the device %.200s",
		 strrchr(holders.gl_pathv[0], '/') + 1);
	globfree(&holders);
	return true;
}

static bool stacked_upon(const struct target *target)
{
	const char *name = target->node + strlen("/dev/");
	char disk[96], partitions[128];

	snprintf(disk, sizeof(disk), "/sys/block/%s/holders/*", name);
	snprintf(partitions, sizeof(partitions), "/sys/block/%s/%sp*/holders/*",
		 name, name);
	return is_held(target, disk) || is_held(target, partitions);
}

/* A line "id parent major:minor root where options - type source rw".  The
   number is the device's even if the source is another node of it.  A file
   system of several disks has a number of its own, and names one of them. */
static bool is_mount(const struct target *target, const char *line,
		     char where[256])
{
	unsigned int major, minor;
	const char *source = strstr(line, " - ");
	char mode[3];

	if (sscanf(line, "%*s %*s %u:%u %*s %255s", &major, &minor, where) != 3)
		return false;
	if (target->writers && source &&
	    sscanf(source, " - %*s %*s %2s", mode) == 1 && !strcmp(mode, "ro"))
		return false;
	if (is_device(target, makedev(major, minor)))
		return true;
	source = source ? strchr(source + 3, ' ') : NULL;
	return source && is_node(target, source + 1);
}

static bool mounted(const struct target *target)
{
	char line[4096], where[256];
	FILE *file = fopen("/proc/self/mountinfo", "re");
	bool found = false;

	if (!file)
		return false;
	while (!found && fgets(line, sizeof(line), file))
		found = is_mount(target, line, where);
	fclose(file);
	if (found)
		snprintf(target->who, target->size, "the mount at %s", where);
	return found;
}

/* A line "name type size used priority". */
static bool is_swap(const struct target *target, const char *line)
{
	char name[256], type[16];
	struct stat st;

	if (sscanf(line, "%255s %15s", name, type) != 2 ||
	    strcmp(type, "partition"))
		return false;
	return is_node(target, name) ||
	       (!stat(name, &st) && S_ISBLK(st.st_mode) &&
		is_device(target, st.st_rdev));
}

static bool swapped_to(const struct target *target)
{
	char line[1024];
	FILE *file = fopen("/proc/swaps", "re");
	bool found = false;

	if (!file)
		return false;
	while (!found && fgets(line, sizeof(line), file))
		found = is_swap(target, line);
	fclose(file);
	if (found)
		snprintf(target->who, target->size, "swap");
	return found;
}

/* A process in a name space of its own knows the node by another path, or has a
   node elsewhere, so the device number decides.  The descriptor's file system
   may hang, so it is not asked for anything new. */
static bool descriptor_refers(const struct target *target, int dir,
			      const char *name)
{
	char path[256];
	struct statx stx;
	ssize_t length = readlinkat(dir, name, path, sizeof(path) - 1);

	if (length <= 0)
		return false;
	path[length] = '\0';
	return is_node(target, path) ||
	       (!statx(dir, name, AT_STATX_DONT_SYNC, STATX_TYPE, &stx) &&
		S_ISBLK(stx.stx_mode) &&
		is_device(target,
			  makedev(stx.stx_rdev_major, stx.stx_rdev_minor)));
}

/* As its link in /proc has the mode: w for a process that may write. */
static bool may_write(int dir, const char *name)
{
	struct stat st;

	return fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) ||
	       st.st_mode & S_IWUSR;
}

static bool process_has_open(const struct target *target, const char *pid)
{
	char path[300];
	struct dirent *entry;
	bool found = false;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%s/fd", pid);
	dir = opendir(path);
	if (!dir)
		return false;
	while (!found && (entry = readdir(dir)))
		found = descriptor_refers(target, dirfd(dir), entry->d_name) &&
			(!target->writers ||
			 may_write(dirfd(dir), entry->d_name));
	closedir(dir);
	return found;
}

static void tell_process(const struct target *target, const char *pid)
{
	char path[300], name[32] = "";
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%s/comm", pid);
	file = fopen(path, "re");
	if (file) {
		if (fgets(name, sizeof(name), file))
			name[strcspn(name, "\n")] = '\0';
		fclose(file);
	}
	snprintf(target->who, target->size, "process %.16s (%s)", pid, name);
}

static bool is_excepted(const struct target *target, pid_t pid)
{
	return pid == target->except[0] || pid == target->except[1];
}

static bool opened(const struct target *target)
{
	struct dirent *entry;
	bool found = false;
	DIR *dir = opendir("/proc");

	if (!dir)
		return false;
	while (!found && (entry = readdir(dir))) {
		if (!isdigit((unsigned char)entry->d_name[0]) ||
		    is_excepted(target, atoi(entry->d_name)))
			continue;
		found = process_has_open(target, entry->d_name);
		if (found)
			tell_process(target, entry->d_name);
	}
	closedir(dir);
	return found;
}

static bool claimed(const struct target *target)
{
	int fd = open(target->node, O_RDONLY | O_EXCL | O_CLOEXEC);

	if (fd >= 0) {
		close(fd);
		return false;
	}
	if (errno != EBUSY)
		return false;
	snprintf(target->who, target->size,
		 "the kernel (a mount in another name space?)");
	return true;
}

/* False: there is no such device. */
static bool aim(struct target *target, int id)
{
	char pattern[64];
	struct stat st;

	snprintf(target->node, sizeof(target->node), "/dev/ublkb%d", id);
	if (stat(target->node, &st) || !S_ISBLK(st.st_mode))
		return false;
	target->devices[target->nr_devices++] = st.st_rdev;
	snprintf(pattern, sizeof(pattern), "/sys/block/ublkb%d/ublkb%dp*/dev",
		 id, id);
	note_devices(target, pattern);
	return true;
}

bool use_find(int id, bool exclusive, char *who, size_t size)
{
	struct target target = { .who = who, .size = size };

	if (!aim(&target, id))
		return false;
	return stacked_upon(&target) || looped(&target) || exported(&target) ||
	       mounted(&target) || swapped_to(&target) || opened(&target) ||
	       (exclusive && claimed(&target));
}

bool use_find_visible(int id, char *who, size_t size)
{
	struct target target = { .who = who, .size = size };

	return aim(&target, id) && (stacked_upon(&target) || mounted(&target) ||
				    swapped_to(&target));
}

bool use_find_writer(dev_t device, pid_t except, pid_t except_too, char *who,
		     size_t size)
{
	struct target target = { .who = who, .size = size, .writers = true };

	target.devices[target.nr_devices++] = device;
	target.except[0] = except;
	target.except[1] = except_too;
	return mounted(&target) || swapped_to(&target) || opened(&target);
}
