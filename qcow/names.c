// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The names of files, for an open that uses them itself.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "qcow/names.h"
#include "qcow/names-used.h"

#define SELF 64 /* bytes of a name in /proc */

static int look(void *opaque, const char *path, struct stat *st)
{
	(void)opaque;
	return stat(path, st) < 0 ? -errno : 0;
}

static int open_named(void *opaque, const char *path, int flags)
{
	int fd = open(path, flags);

	(void)opaque;
	return fd < 0 ? -errno : fd;
}

static void name_self(char name[SELF], int fd)
{
	snprintf(name, SELF, "/proc/self/fd/%d", fd);
}

static int open_again(void *opaque, int fd, int flags)
{
	char self[SELF];

	name_self(self, fd);
	return open_named(opaque, self, flags);
}

static int settle(void *opaque, const char *path, char **settled)
{
	(void)opaque;
	return qcow_settle(path, settled);
}

static int set_aside(void *opaque, const char *directory)
{
	int fd = open(directory, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

	(void)opaque;
	return fd < 0 ? -errno : fd;
}

static int remove_named(void *opaque, const char *path)
{
	(void)opaque;
	return unlink(path) < 0 && errno != ENOENT ? -errno : 0;
}

static int link_named(void *opaque, int fd, const char *path)
{
	int ret = remove_named(opaque, path);
	char self[SELF];

	name_self(self, fd);
	if (!ret &&
	    linkat(AT_FDCWD, self, AT_FDCWD, path, AT_SYMLINK_FOLLOW) < 0)
		ret = -errno;
	return ret;
}

static int list(void *opaque, const char *directory, const char *prefix,
		unsigned int number, char name[NAME_MAX + 1])
{
	DIR *dir = opendir(directory);
	struct dirent *entry;
	int ret = -ENOENT;

	(void)opaque;
	if (!dir)
		return -errno;
	while (ret && (entry = readdir(dir))) {
		if (strncmp(entry->d_name, prefix, strlen(prefix)) || number--)
			continue;
		snprintf(name, NAME_MAX + 1, "%s", entry->d_name);
		ret = 0;
	}
	closedir(dir);
	return ret;
}

const struct qcow_names qcow_names_of_host = {
	.look = look,
	.open = open_named,
	.open_again = open_again,
	.settle = settle,
	.set_aside = set_aside,
	.link = link_named,
	.remove = remove_named,
	.list = list,
};

const struct qcow_names *qcow_names_here = &qcow_names_of_host;

int names_look(const char *path, struct stat *st)
{
	return qcow_names_here->look(qcow_names_here->opaque, path, st);
}

int names_find(const char *path)
{
	return qcow_names_here->open(qcow_names_here->opaque, path,
				     O_PATH | O_CLOEXEC);
}

/* The kernel has followed all links to the open file. */
static char *path_of(int fd)
{
	char self[SELF], path[PATH_MAX];
	ssize_t length;

	name_self(self, fd);
	length = readlink(self, path, sizeof(path) - 1);
	if (length < 0)
		return NULL;
	path[length] = '\0';
	return strdup(path);
}

char *names_real(const char *path)
{
	char *real;
	int fd;

	if (qcow_names_here == &qcow_names_of_host)
		return realpath(path, NULL);
	fd = names_find(path);
	if (fd < 0) {
		errno = -fd;
		return NULL;
	}
	real = path_of(fd);
	close(fd);
	return real;
}
