// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The clerk's side of the names: a server without a path asks for files.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "plugin/server/clerk-inside.h"
#include "plugin/server/server.h"

/* ---- names ---- */

/* The server has the file already, and gets no more than to read it; and to
   claim a device (O_EXCL) only if that is its own.  Any other descriptor may be
   of a file that the server can find, and has no right to read (O_PATH). */
static int open_again(const struct clerk_files *files,
		      const struct order *order, const struct packet *with)
{
	if (with->nr_fds != 1 ||
	    order->flags & ~(O_EXCL | O_NOCTTY | O_CLOEXEC))
		return -EINVAL;
	if (!clerk_has_opened(files, with->fds[0], order->flags & O_EXCL))
		return -EACCES;
	return qcow_names_of_host.open_again(NULL, with->fds[0],
					     order->flags | O_CLOEXEC);
}

static int look(struct clerk_files *files, const char *path, struct stat *st)
{
	return clerk_find_grant(files, path) ?
		       qcow_names_of_host.look(NULL, path, st) :
		       -EACCES;
}

/* The path that was granted, or not. */
static int take_path(char *path, int ret, char answer[PATH_MAX])
{
	if (!ret && snprintf(answer, PATH_MAX, "%s", path) >= PATH_MAX)
		ret = -ENAMETOOLONG;
	free(path);
	return ret;
}

static int settle(struct clerk_files *files, const char *path,
		  char answer[PATH_MAX])
{
	const struct grant *found = clerk_find_grant(files, path);
	char *settled;
	int ret = found ? qcow_settle(path, &settled) : -EACCES;

	if (ret)
		return ret;
	ret = clerk_grant(files, settled, found->write);
	/* Should it lead to another file by now, its opening will tell. */
	if (!ret)
		clerk_find_grant(files, settled)->image |= found->image;
	if (!strcmp(path, files->config->image) && !files->top)
		files->top = strdup(settled);
	return take_path(settled, ret, answer);
}

static int resolve(struct clerk_files *files, const struct order *order,
		   struct answer *answer)
{
	char *path;
	int ret;

	if (!files->top || !clerk_find_grant(files, order->path) ||
	    order->kind > QCOW_REFERS_TO_DATA_UNDER)
		return -EACCES;
	ret = qcow_resolve(&files->options, files->top, order->path,
			   order->kind, order->name, &path, &answer->error);
	if (ret)
		return ret;
	ret = clerk_grant(files, path,
			  clerk_may_write(files, order->kind, path));
	return take_path(path, ret, answer->path);
}

/* ---- journals ---- */

static int set_aside(const char *directory)
{
	return strcmp(directory, QCOW_JOURNAL_DIR) ?
		       -EACCES :
		       qcow_names_of_host.set_aside(NULL, directory);
}

/* A file that has a name already may be somebody else's. */
static bool is_nameless(int fd)
{
	struct stat st;

	return !fstat(fd, &st) && S_ISREG(st.st_mode) && !st.st_nlink;
}

static int link_file(const struct clerk_files *files, const char *path,
		     const struct packet *with)
{
	if (with->nr_fds != 1 || !is_nameless(with->fds[0]) ||
	    !clerk_is_journal(files, path, true))
		return -EACCES;
	return qcow_names_of_host.link(NULL, with->fds[0], path);
}

static int remove_file(const struct clerk_files *files, const char *path)
{
	return clerk_is_journal(files, path, true) ?
		       qcow_names_of_host.remove(NULL, path) :
		       -EACCES;
}

/* The other names tell of other disks. */
static int list(const struct clerk_files *files, const struct order *order,
		char answer[PATH_MAX])
{
	if (strcmp(order->path, QCOW_JOURNAL_DIR) ||
	    !clerk_is_journal_prefix(files, order->name))
		return -EACCES;
	return qcow_names_of_host.list(NULL, QCOW_JOURNAL_DIR, order->name,
				       order->number, answer);
}

/* ---- legacy images ---- */

static int start_reader(struct clerk_files *files, const struct order *order,
			const struct packet *with)
{
	if (with->nr_fds != READER_FDS)
		return -EINVAL;
	if (!clerk_has_opened(files, with->fds[0], false) ||
	    files->readers == READERS_MAX)
		return -EACCES;
	files->readers++;
	return orders_start_reader(order, with, files->server);
}

/* ---- all of them ---- */

/* The actions that answer with a descriptor. */
static int open_one(struct clerk_files *files, const struct order *order,
		    const struct packet *with)
{
	switch (order->action) {
	case OPEN_FILE:
		return clerk_open(files, order->path, order->flags);
	case OPEN_AGAIN:
		return open_again(files, order, with);
	case SET_ASIDE:
		return set_aside(order->path);
	default:
		return -EINVAL;
	}
}

int clerk_files_execute(struct clerk_files *files, const struct order *order,
			const struct packet *with, struct answer *answer,
			int *fd)
{
	switch (order->action) {
	case LOOK_AT_FILE:
		return look(files, order->path, &answer->st);
	case LOOK_AT_OPEN:
		return orders_look_at_open(with, answer);
	case SETTLE:
		return settle(files, order->path, answer->path);
	case RESOLVE:
		return resolve(files, order, answer);
	case LINK:
		return link_file(files, order->path, with);
	case REMOVE:
		return remove_file(files, order->path);
	case LIST:
		return list(files, order, answer->path);
	case START_READER:
		return start_reader(files, order, with);
	default:
		*fd = open_one(files, order, with);
		return *fd < 0 ? *fd : 0;
	}
}
