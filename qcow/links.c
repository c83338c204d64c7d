// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Images that are reached by a symbolic link.
 *
 * A relative name in a header is relative to the directory of its image.  If
 * a link leads to the image from another directory, that is where QEMU looks
 * for the name; we look beside the image itself, for every later server has
 * to find the same file, even if the link has changed.  Mostly there is
 * one such file at all.  Where there are two, either choice would give some
 * guest another disk than it had before: so it is refused until the image is
 * named by a path that leaves no choice.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "qcow/error.h"
#include "qcow/info.h"
#include "qcow/layers.h"
#include "qcow/names-used.h"

struct chain {
	const char *top; /* the path of the image, resolved */
	const struct qcow_references *references;
	struct qcow_info *info; /* of the image at hand */
};

static bool are_two_files(const char *a, const char *b)
{
	struct stat one, other;

	if (names_look(a, &one) || names_look(b, &other))
		return false;
	if (S_ISBLK(one.st_mode) && S_ISBLK(other.st_mode))
		return one.st_rdev != other.st_rdev;
	return one.st_dev != other.st_dev || one.st_ino != other.st_ino;
}

/* path, as it was named, is the image at resolved. */
static int judge(const char *path, const char *resolved, const char *what,
		 const char *name, struct qcow_error *error)
{
	char *theirs, *ours;
	int ret = 0;

	/* An empty name is refused for itself. */
	if (!*name)
		return 0;
	theirs = reference_beside(path, name);
	ours = reference_beside(resolved, name);
	if (!theirs || !ours)
		ret = fail(error, -ENOMEM, "out of memory");
	else if (are_two_files(theirs, ours))
		ret = fail(
			error, -EINVAL,
			"its %s %.200s is one file beside the symbolic link %.300s and another beside the image, %.300s: name the image by the path where its files are",
			what, name, path, resolved);
	free(theirs);
	free(ours);
	return ret;
}

/* The file under it, as QEMU would name the file; NULL if there is nothing more
   to judge.  The open refuses the files that may not be opened (P6). */
static char *next_of(const struct chain *chain, const char *path,
		     const char *resolved)
{
	const struct qcow_info *info = chain->info;
	char *under, *allowed;
	struct stat st;

	if (!info->has_backing || strcmp(info->backing_format, "qcow2") ||
	    reference_resolve_from(chain->top, resolved, QCOW_REFERS_TO_BACKING,
				   info->backing, chain->references, &allowed,
				   NULL))
		return NULL;
	free(allowed);
	under = reference_beside(path, info->backing);
	if (!under || !names_look(under, &st))
		return under;
	free(under);
	return reference_beside(resolved, info->backing);
}

/* *next is the image to go on with, or NULL. */
static int judge_image(const struct chain *chain, const char *path, char **next,
		       struct qcow_error *error)
{
	struct qcow_info *info = chain->info;
	char *resolved = reference_path(path);
	int ret = 0;

	*next = NULL;
	if (!resolved)
		return fail(error, -errno, "%s", strerror(errno));
	/* The open refuses a file that cannot be read. */
	if (!qcow_read_info(resolved, info, NULL) && info->version > 1) {
		if (info->has_data_file)
			ret = judge(path, resolved, "data file",
				    info->data_file, error);
		if (!ret && info->has_backing)
			ret = judge(path, resolved, "backing file",
				    info->backing, error);
		if (!ret)
			*next = next_of(chain, path, resolved);
	}
	free(resolved);
	return ret;
}

static int judge_all(struct chain *chain, const char *path,
		     struct qcow_error *error)
{
	char *at = strdup(path);
	int ret = at ? 0 : fail(error, -ENOMEM, "out of memory");

	/* A loop is for the open to refuse. */
	for (unsigned int i = 0; !ret && at && i < QCOW_FILES_MAX; i++) {
		char *next;

		ret = judge_image(chain, at, &next, error);
		free(at);
		at = next;
	}
	free(at);
	return ret;
}

int qcow_check_links(const char *path, const struct qcow_references *references,
		     struct qcow_error *error)
{
	struct chain chain = {
		.references = references,
		.info = malloc(sizeof(*chain.info)),
	};
	char *top = reference_path(path);
	int ret;

	chain.top = top;
	if (!top)
		ret = fail(error, -errno, "%s", strerror(errno));
	else if (!chain.info)
		ret = fail(error, -ENOMEM, "out of memory");
	else
		ret = judge_all(&chain, path, error);
	free(chain.info);
	free(top);
	return ret;
}
