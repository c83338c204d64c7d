// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Finding disks among the records.
 *
 * There are as many records as disks, some dozens at most, so every search
 * reads all records, and nothing else: the storage of a disk that was not
 * asked about may hang.  Names cannot be numbers (name.c), hence a number
 * means an id and no search is ambiguous.
 */
#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "plugin/common/state.h"
#include "qcow/names.h"

static int is_record(const struct dirent *entry)
{
	int id, length = 0;

	return sscanf(entry->d_name, "%d.disk%n", &id, &length) == 1 &&
	       length > 0 && !entry->d_name[length];
}

static int by_id(const struct dirent **a, const struct dirent **b)
{
	return atoi((*a)->d_name) - atoi((*b)->d_name);
}

int disk_each(int (*visit)(const struct disk *disk, void *opaque), void *opaque)
{
	struct dirent **entries;
	struct disk disk;
	int i, nr, ret = 0;

	nr = scandir(state_dir(), &entries, is_record, by_id);
	if (nr < 0)
		return errno == ENOENT ? 0 : -errno;
	for (i = 0; i < nr; i++) {
		/* A record may go while we look. */
		if (!ret && !disk_load(atoi(entries[i]->d_name), &disk))
			ret = visit(&disk, opaque);
		free(entries[i]);
	}
	free(entries);
	return ret;
}

int disk_each_unreadable(void (*visit)(int id, int error, void *opaque),
			 void *opaque)
{
	struct dirent **entries;
	struct disk disk;
	int i, nr;

	nr = scandir(state_dir(), &entries, is_record, by_id);
	if (nr < 0)
		return errno == ENOENT ? 0 : -errno;
	for (i = 0; i < nr; i++) {
		int id = atoi(entries[i]->d_name);
		int ret = disk_load(id, &disk);

		/* -ENOENT: the record is gone meanwhile, or is of another
		   boot. */
		if (ret && ret != -ENOENT)
			visit(id, ret, opaque);
		free(entries[i]);
	}
	free(entries);
	return 0;
}

static int is_unfinished(const struct dirent *entry)
{
	int id, pid;

	return sscanf(entry->d_name, "%d.disk.%d", &id, &pid) == 2 &&
	       kill(pid, 0) && errno == ESRCH;
}

void state_sweep(void)
{
	char path[PATH_MAX + NAME_MAX + 2];
	struct dirent **entries;
	int nr = scandir(state_dir(), &entries, is_unfinished, by_id);

	if (nr < 0)
		return;
	while (nr--) {
		snprintf(path, sizeof(path), "%s/%s", state_dir(),
			 entries[nr]->d_name);
		unlink(path);
		free(entries[nr]);
	}
	free(entries);
}

struct search {
	const char *name;
	const char *image;
	const struct qcow_identity *identity;
	struct disk *found;
};

static bool same_file(const struct search *search, const struct disk *disk)
{
	return !strcmp(search->image, disk->image) ||
	       (search->identity && disk_is_file(disk, search->identity));
}

/* This function asks no storage: that of another disk may not answer. */
bool disk_is_file(const struct disk *disk, const struct qcow_identity *identity)
{
	const struct qcow_identity *own = &disk->identity;

	return (own->device || own->inode) && identity_matches(own, identity);
}

static int match(const struct disk *disk, void *opaque)
{
	struct search *search = opaque;

	if (search->name && strcmp(search->name, disk->name))
		return 0;
	if (search->image && !same_file(search, disk))
		return 0;
	*search->found = *disk;
	return 1;
}

static int run_search(struct search *search)
{
	int ret = disk_each(match, search);

	if (ret < 0)
		return ret;
	return ret ? 0 : -ENOENT;
}

int disk_of_image(const char *image, const struct qcow_identity *identity,
		  struct disk *disk)
{
	struct search search = {
		.image = image,
		.identity = identity,
		.found = disk,
	};

	return run_search(&search);
}

int disk_of_name(const char *name, struct disk *disk)
{
	struct search search = { .name = name, .found = disk };

	return run_search(&search);
}

static bool whole_number(const char *text, int *number)
{
	int length = 0;

	return *text >= '0' && *text <= '9' &&
	       sscanf(text, "%7d%n", number, &length) == 1 && !text[length];
}

static bool device_node(const char *path, int *id)
{
	int length = 0;

	return sscanf(path, "/dev/ublkb%7d%n", id, &length) == 1 &&
	       length > 0 && !path[length];
}

int disk_find(const char *dev, struct disk *disk)
{
	static const char links[] = "/dev/ublk-qcow2/";
	char path[PATH_MAX];
	int id;

	if (whole_number(dev, &id) || device_node(dev, &id))
		return disk_load(id, disk);
	/* Our link may dangle when its device is gone, so look at names
	   first. */
	if (!strncmp(dev, links, strlen(links)))
		return disk_of_name(dev + strlen(links), disk);
	if (*dev != '/')
		return disk_of_name(dev, disk);
	if (realpath(dev, path) && device_node(path, &id))
		return disk_load(id, disk);
	return -ENOENT;
}

/* By the path alone, as the record has it: no storage is asked.  A device has
   many names, and is known by its number. */
int disk_find_wide(const char *dev, struct disk *disk)
{
	struct qcow_identity device = { .inode = 0 };
	char path[PATH_MAX];
	struct stat st;
	int ret = disk_find(dev, disk);

	if (ret != -ENOENT)
		return ret;
	if (!realpath(dev, path))
		return disk_of_image(dev, NULL, disk);
	if (stat(path, &st) || !S_ISBLK(st.st_mode))
		return disk_of_image(path, NULL, disk);
	device.device = st.st_rdev;
	return disk_of_image(path, &device, disk);
}

int disk_free_id(int first, int *id)
{
	char path[64];
	int n;

	for (n = first; n <= DISK_ID_MAX; n++) {
		if (disk_exists(n))
			continue;
		snprintf(path, sizeof(path), "/sys/class/ublk-char/ublkc%d", n);
		if (!access(path, F_OK))
			continue;
		*id = n;
		return 0;
	}
	return -ENOSPC;
}
