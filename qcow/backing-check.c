// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Which files may lie under an image: not too many, none of them twice, and
 * none in a format that the header does not name.
 *
 * The format is taken from the header, never probed: a guest could write a
 * header of its choice into a raw file (P6).
 */
#include <errno.h>
#include <string.h>
#include "qcow/error.h"
#include "qcow/layers.h"

/* An image, its data file and the files under it share one table of files. */
#define MAX_DEPTH (QCOW_FILES_MAX - 2)

int backing_check_depth(unsigned int depth, struct qcow_error *error)
{
	if (depth < MAX_DEPTH)
		return 0;
	return fail(error, -ELOOP, "its backing chain is longer than %d files",
		    MAX_DEPTH);
}

int backing_check_loop(const struct qcow_image *image, const struct file *file,
		       const char *path, struct qcow_error *error)
{
	for (; image; image = image->overlay)
		if (file_is(file, &image->file.identity))
			return fail(
				error, -ELOOP,
				"its backing chain is a loop: %s comes twice",
				path);
	return 0;
}

bool backing_is_raw(const char *format)
{
	/* QEMU knows a file without a format by the name of its driver. */
	return !strcmp(format, "raw") || !strcmp(format, "file");
}

int backing_check_format(const char *format, const char *path,
			 struct qcow_error *error)
{
	if (backing_is_raw(format) || !strcmp(format, "qcow") ||
	    !strcmp(format, "qcow2"))
		return 0;
	if (!*format)
		return fail(
			error, -EINVAL,
			"its header names a backing file without its format; name it with 'qemu-img rebase -u -F FORMAT -b %s'",
			path);
	return fail(error, -ENOTSUP,
		    "its backing file's format \"%s\" is not supported",
		    format);
}
