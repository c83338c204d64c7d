// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The files that an image names: what it lies on, and where its data are.
 *
 * The names come out of an image that we do not trust (P6).  Protocols and
 * json: are refused.  Only what lies in the directory of the image that was
 * asked for, or below a directory that the admin has named, is opened;
 * symbolic links are resolved before that is judged.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "error.h"
#include "layers.h"

static bool is_protocol(const char *name)
{
	const char *colon = strchr(name, ':');
	const char *slash = strchr(name, '/');

	return colon && (!slash || colon < slash);
}

static bool lies_below(const char *path, const char *directory)
{
	size_t length = strlen(directory);

	while (length && directory[length - 1] == '/')
		length--;
	return !strncmp(path, directory, length) && path[length] == '/';
}

static bool lies_below_resolved(const char *path, const char *directory)
{
	char *resolved = realpath(directory, NULL);
	bool below = resolved && lies_below(path, resolved);

	free(resolved);
	return below;
}

/* P6: in the directory of the image that was asked for, or where the admin
   allows it. */
static bool is_allowed(const char *top, const char *path,
		       const char *const *directory)
{
	char *own = strndup(top, strrchr(top, '/') - top + 1);
	bool allowed = own && lies_below(path, own);

	free(own);
	for (; !allowed && directory && *directory; directory++)
		allowed = lies_below_resolved(path, *directory);
	return allowed;
}

/* Relative names are relative to the image that names them. */
char *reference_beside(const char *path, const char *name)
{
	const char *slash = strrchr(path, '/');
	int length = slash ? slash - path + 1 : 0;
	char *joined;

	if (name[0] == '/')
		length = 0;
	if (asprintf(&joined, "%.*s%s", length, path, name) < 0)
		return NULL;
	return joined;
}

static char *resolve(const char *from, const char *name)
{
	char *joined = reference_beside(from, name);
	char *resolved = joined ? realpath(joined, NULL) : NULL;

	free(joined);
	return resolved;
}

int reference_resolve_from(const char *top, const char *from,
			   const char *what, const char *name,
			   const char *const *directories, char **path,
			   struct qcow_error *error)
{
	char *resolved;
	int ret;

	/* QEMU takes it for none; it may as well be one that got lost. */
	if (!*name)
		return fail(error, -EINVAL,
			    "its header names a %s with an empty name; give it one with 'qemu-img rebase -u', or take it out with -b ''",
			    what);
	if (is_protocol(name))
		return fail(error, -ENOTSUP,
			    "its %s \"%.200s\" is named by a protocol; only files are opened",
			    what, name);
	resolved = resolve(from, name);
	if (!resolved)
		return fail(error, -errno, "its %s %.300s: %s", what, name,
			    strerror(errno));
	if (is_allowed(top, resolved, directories)) {
		*path = resolved;
		return 0;
	}
	ret = fail(error, -EACCES,
		   "its %s %.200s is outside the image's directory; name its directory in /etc/ublk-qcow2/directories to allow it",
		   what, resolved);
	free(resolved);
	return ret;
}

int reference_resolve(const struct qcow_image *image, const char *what,
		      const char *name, const struct qcow_options *options,
		      char **path, struct qcow_error *error)
{
	const struct qcow_image *top = image;

	while (top->overlay)
		top = top->overlay;
	return reference_resolve_from(top->path, image->path, what, name,
				      options->directories, path, error);
}
