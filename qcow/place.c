// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A new file that is wholly there or not at all, after a death or a power loss
 * at any moment.
 *
 * It is written without a name.  Its contents, its owner and its mode are
 * synced; then a link gives it its name, in one step and in nobody's place, and
 * the directory is synced.  File systems without nameless files have it under
 * another name meanwhile, which a death may leave there.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "qcow/error.h"
#include "qcow/place.h"

int place_find(const char *path, struct place *place, struct qcow_error *error)
{
	const char *slash = strrchr(path, '/');
	char *parent = strndup(path, slash ? slash - path + 1 : 0);

	*place = (struct place){
		.name = slash ? slash + 1 : path,
		.directory_fd = -1,
		.fd = -1,
	};
	place->directory = parent ? realpath(*parent ? parent : ".", NULL) :
				    NULL;
	free(parent);
	if (!place->directory)
		return fail(error, -errno, "%s", strerror(errno));
	/* Told before any work; the link finds out for good. */
	if (!faccessat(AT_FDCWD, path, F_OK, AT_SYMLINK_NOFOLLOW))
		return fail(error, -EEXIST, "%s", strerror(EEXIST));
	return 0;
}

/* Where files without a name do not exist. */
static int open_named(struct place *place)
{
	if (asprintf(&place->temporary, "%s/.ublk-qcow2-XXXXXX",
		     place->directory) < 0) {
		place->temporary = NULL;
		return -ENOMEM;
	}
	place->fd = mkostemp(place->temporary, O_CLOEXEC);
	return place->fd < 0 ? -errno : 0;
}

int place_open(struct place *place)
{
	place->directory_fd = open(place->directory,
				   O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (place->directory_fd < 0)
		return -errno;
	place->fd = open(place->directory, O_RDWR | O_TMPFILE | O_CLOEXEC,
			 0600);
	if (place->fd >= 0)
		return 0;
	return errno == EOPNOTSUPP || errno == EISDIR ? open_named(place) :
							-errno;
}

/* Never over another file. */
static int give_name(const struct place *place)
{
	const char *from = place->temporary;
	char self[64];

	if (!from) {
		snprintf(self, sizeof(self), "/proc/self/fd/%d", place->fd);
		from = self;
	}
	return linkat(AT_FDCWD, from, place->directory_fd, place->name,
		      from == self ? AT_SYMLINK_FOLLOW : 0) < 0 ?
		       -errno :
		       0;
}

/* The contents are durable before the name is. */
int place_settle(const struct place *place)
{
	int ret = fsync(place->fd) < 0 ? -errno : give_name(place);

	if (!ret && fsync(place->directory_fd) < 0) {
		ret = -errno;
		unlinkat(place->directory_fd, place->name, 0);
	}
	return ret;
}

void place_leave(struct place *place)
{
	if (place->temporary && place->fd >= 0)
		unlink(place->temporary);
	if (place->fd >= 0)
		close(place->fd);
	if (place->directory_fd >= 0)
		close(place->directory_fd);
	free(place->temporary);
	free(place->directory);
}
