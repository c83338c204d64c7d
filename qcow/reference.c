// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The files that an image names: its backing, and its data file.
 *
 * The names come out of an image that we do not trust (P6), so the admin says
 * which files may be opened (struct qcow_references).  Protocols and json:
 * are refused.  Symbolic links are resolved before a file is judged: a link
 * beside the image does not lead out of its directory.
 *
 * Devices are another matter.  All of them lie in one directory, /dev, which
 * does not tell their owners; so a device is never allowed because it lies
 * beside the image.  The links below /dev are the names that people use, as
 * /dev/VG/LV, and are root's own: a device is judged, and its relative names
 * are followed, by the directory in which it was named.
 *
 * A process that opens a disk once more knows the files that it consists of.
 * These were allowed when the disk was new, and are known by identity, under
 * any name.  Any other file is refused, even if the admin would allow it by
 * now.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "qcow/error.h"
#include "qcow/layers.h"
#include "qcow/names-used.h"

static const char *const kind_names[] = {
	[QCOW_REFERS_TO_BACKING] = "backing file",
	[QCOW_REFERS_TO_DATA] = "data file",
	[QCOW_REFERS_TO_DATA_UNDER] = "data file",
};

static bool is_protocol(const char *name)
{
	const char *colon = strchr(name, ':');
	const char *slash = strchr(name, '/');

	return colon && (!slash || colon < slash);
}

static bool is_device(const char *path)
{
	struct stat st;

	return !names_look(path, &st) && S_ISBLK(st.st_mode);
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
	char *resolved = names_real(directory);
	bool below = resolved && lies_below(path, resolved);

	free(resolved);
	return below;
}

static bool lies_below_any(const char *path, const char *const *directory)
{
	for (; directory && *directory; directory++)
		if (lies_below_resolved(path, *directory))
			return true;
	return false;
}

static bool is_same_file(const char *path, const char *allowed)
{
	char *resolved = allowed ? names_real(allowed) : NULL;
	bool same = resolved && !strcmp(path, resolved);

	free(resolved);
	return same;
}

/* A regular file in the directory of a regular file, or below that.  All files
   lie below the root; that is nobody's own. */
static bool lies_beside(const char *top, const char *path)
{
	char *own = strndup(top, strrchr(top, '/') - top + 1);
	bool beside = own && strcmp(own, "/") && lies_below(path, own) &&
		      !is_device(path) && !is_device(top);

	free(own);
	return beside;
}

/* P6 */
static bool is_allowed(const char *top, enum qcow_reference kind,
		       const char *path, const char *resolved,
		       const struct qcow_references *references)
{
	static const struct qcow_references defaults;

	if (!references)
		references = &defaults;
	if (references->none)
		return false;
	if (lies_below_any(path, references->data_directories))
		return true;
	/* The admin names the files that are written. */
	if (kind == QCOW_REFERS_TO_DATA)
		return is_same_file(resolved, references->data_file);
	return (!references->not_beside && lies_beside(top, path)) ||
	       lies_below_any(path, references->directories);
}

bool qcow_allows_device(const struct qcow_references *references,
			enum qcow_reference kind, const char *path,
			const char *resolved)
{
	struct qcow_references named = { 0 };

	if (references)
		named = *references;
	named.not_beside = true;
	return is_allowed(NULL, kind, path, resolved, &named);
}

static bool is_known_file(const struct qcow_options *options,
			  const char *resolved)
{
	struct qcow_identity identity;
	unsigned int i;

	if (qcow_identify_path(resolved, &identity))
		return false;
	for (i = 0; i < options->nr_layers; i++)
		if (identity_matches(&options->layers[i].identity, &identity))
			return true;
	return false;
}

static bool is_known_name(const struct qcow_options *options, const char *path)
{
	unsigned int i;

	for (i = 0; i < options->nr_layers; i++)
		if (!strcmp(options->layers[i].path, path))
			return true;
	return false;
}

/* P6: to open another file may already do harm.  At which place a file
   belongs is checked when it is open. */
static int check_known(const struct qcow_options *options,
		       enum qcow_reference kind, const char *path,
		       const char *resolved, struct qcow_error *error)
{
	if (is_known_file(options, resolved))
		return 0;
	if (is_known_name(options, path))
		return fail(
			error, -ESTALE,
			"%s %.200s: another file has taken its name; put back the file that was there",
			kind_names[kind], path);
	return fail(
		error, -ESTALE,
		"its %s %.200s was no part of the disk before; undo the change that was made to the image meanwhile",
		kind_names[kind], path);
}

static int refuse(enum qcow_reference kind, const char *path,
		  const struct qcow_references *references,
		  struct qcow_error *error)
{
	if (references && references->none)
		return fail(
			error, -EACCES,
			"it names the %s %.200s, and this disk may consist of its image alone",
			kind_names[kind], path);
	if (kind == QCOW_REFERS_TO_DATA)
		return fail(
			error, -EACCES,
			"its data file %.200s would be written, so you have to allow that by its name: --data-file %.200s",
			path, path);
	return fail(
		error, -EACCES,
		"its %s %.200s is outside the image's directory; name its directory in /etc/ublk-qcow2/directories to allow it",
		kind_names[kind], path);
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

/* The directory resolved, the last name as it was given. */
static char *resolve_directory(const char *path)
{
	const char *slash = strrchr(path, '/');
	char *parent = strndup(path, slash ? slash - path + 1 : 0);
	char *resolved = parent ? names_real(*parent ? parent : ".") : NULL;
	char *joined = NULL;

	if (resolved &&
	    asprintf(&joined, "%s/%s", strcmp(resolved, "/") ? resolved : "",
		     slash ? slash + 1 : path) < 0)
		joined = NULL;
	free(resolved);
	free(parent);
	return joined;
}

char *reference_path(const char *path)
{
	return is_device(path) ? resolve_directory(path) : names_real(path);
}

int qcow_settle(const char *path, char **settled)
{
	*settled = reference_path(path);
	return *settled ? 0 : -errno;
}

/* Of a name that may be opened as far as its form goes; path and the file
   that it leads to. */
static int find(const char *from, enum qcow_reference kind, const char *name,
		char **path, char **resolved, struct qcow_error *error)
{
	char *joined = reference_beside(from, name);

	*resolved = joined ? names_real(joined) : NULL;
	/* The links are followed once: a second time they may lead elsewhere.
	 */
	if (!*resolved)
		*path = NULL;
	else
		*path = is_device(*resolved) ? resolve_directory(joined) :
					       strdup(*resolved);
	free(joined);
	if (*path)
		return 0;
	free(*resolved);
	return fail(error, errno ? -errno : -ENOMEM, "its %s %.300s: %s",
		    kind_names[kind], name, strerror(errno));
}

/* A name in the header of the image at from, as far as its form goes. */
static int locate(const char *from, enum qcow_reference kind, const char *name,
		  char **path, char **resolved, struct qcow_error *error)
{
	/* QEMU takes it for none; it may as well be one that got lost. */
	if (!*name)
		return fail(
			error, -EINVAL,
			"its header names a %s with an empty name; give it one with 'qemu-img rebase -u', or take it out with -b ''",
			kind_names[kind]);
	/* QEMU's own word for a plain file.  A relative name behind it would
	   be relative to wherever QEMU was started. */
	if (!strncmp(name, "file:/", strlen("file:/")))
		name += strlen("file:");
	if (is_protocol(name))
		return fail(
			error, -ENOTSUP,
			"its %s \"%.200s\" is named by a protocol; only files are opened: name the file with 'qemu-img rebase -u'",
			kind_names[kind], name);
	return find(from, kind, name, path, resolved, error);
}

int reference_resolve_from(const char *top, const char *from,
			   enum qcow_reference kind, const char *name,
			   const struct qcow_references *references,
			   char **path, struct qcow_error *error)
{
	char *found, *resolved;
	int ret = locate(from, kind, name, &found, &resolved, error);

	if (ret)
		return ret;
	if (is_allowed(top, kind, found, resolved, references)) {
		free(resolved);
		*path = found;
		return 0;
	}
	ret = refuse(kind, found, references, error);
	free(resolved);
	free(found);
	return ret;
}

/* The same for a disk of which all files are known. */
static int resolve_known(const char *from, enum qcow_reference kind,
			 const char *name, const struct qcow_options *options,
			 char **path, struct qcow_error *error)
{
	char *found, *resolved;
	int ret = locate(from, kind, name, &found, &resolved, error);

	if (ret)
		return ret;
	ret = check_known(options, kind, found, resolved, error);
	free(resolved);
	if (ret)
		free(found);
	else
		*path = found;
	return ret;
}

int qcow_resolve(const struct qcow_options *options, const char *top,
		 const char *from, enum qcow_reference kind, const char *name,
		 char **path, struct qcow_error *error)
{
	if (options->layers)
		return resolve_known(from, kind, name, options, path, error);
	return reference_resolve_from(top, from, kind, name,
				      options->references, path, error);
}

int reference_resolve(const struct qcow_image *image, enum qcow_reference kind,
		      const char *name, const struct qcow_options *options,
		      char **path, struct qcow_error *error)
{
	const struct qcow_image *top = image;

	if (options->names && options->names->resolve)
		return options->names->resolve(options->names->opaque,
					       image->path, kind, name, path,
					       error);
	while (top->overlay)
		top = top->overlay;
	return qcow_resolve(options, top->path, image->path, kind, name, path,
			    error);
}

int qcow_check_layer(const char *top, const struct qcow_layer *layer,
		     const struct qcow_references *references,
		     struct qcow_error *error)
{
	enum qcow_reference kind = layer->written ? QCOW_REFERS_TO_DATA :
						    QCOW_REFERS_TO_BACKING;
	char *path = *layer->path == '/' ? reference_path(layer->path) : NULL;
	char *resolved = path ? names_real(path) : NULL;
	int ret = 0;

	if (!resolved)
		ret = fail(error, -EINVAL, "%s %.300s: is no path of a file",
			   kind_names[kind], layer->path);
	else if (!is_allowed(top, kind, path, resolved, references))
		ret = refuse(kind, path, references, error);
	free(resolved);
	free(path);
	return ret;
}
