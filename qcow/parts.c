// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The files that a disk would consist of, found by way of headers only: an
 * image, its data file, its backing, and so on down.
 *
 * This keeps to the rules of an open (P6): formats are taken from the header
 * that names them, and a file that may not be opened is told as refused; it is
 * the last.
 */
#include <errno.h>
#include <stdlib.h>
#include "qcow/error.h"
#include "qcow/info.h"
#include "qcow/layers.h"

struct walk {
	const struct qcow_references *references;
	void (*visit)(void *opaque, const struct qcow_part *part);
	void *opaque;
	const char *top; /* the image's path, resolved */
	struct qcow_identity seen[QCOW_FILES_MAX];
	unsigned int nr_seen;
	unsigned int depth;    /* of the image at hand */
	struct qcow_error why; /* of a refusal */
};

static void refuse(struct walk *walk, struct qcow_part part)
{
	part.refused = walk->why.text;
	part.size = 0;
	walk->visit(walk->opaque, &part);
}

static bool is_seen(const struct walk *walk, const struct file *file)
{
	for (unsigned int i = 0; i < walk->nr_seen; i++)
		if (file_is(file, &walk->seen[i]))
			return true;
	return false;
}

/* Opens a file of the disk, each but once. */
static int open_part(struct walk *walk, const char *path, struct file *file)
{
	const struct qcow_options options = {
		.read_only = true,
		.cache = QCOW_CACHE_WRITEBACK,
	};
	int ret = file_open(file, path, &options, &walk->why);

	if (ret)
		return ret;
	if (is_seen(walk, file))
		ret = fail(&walk->why, -ELOOP,
			   "its backing chain is a loop: %s comes twice", path);
	else if (walk->nr_seen == QCOW_FILES_MAX)
		ret = fail(
			&walk->why, -ELOOP,
			"it consists of more than %d files, which are the most",
			QCOW_FILES_MAX);
	if (ret)
		file_close(file);
	else
		walk->seen[walk->nr_seen++] = file->identity;
	return ret;
}

static int look_at_raw(struct walk *walk, struct qcow_part *part)
{
	struct file file;
	int ret = open_part(walk, part->path, &file);

	if (ret)
		return ret;
	ret = file_size(&file, &part->size);
	if (ret)
		fail(&walk->why, ret, "finding its size: %s", strerror(-ret));
	file_close(&file);
	return ret;
}

static int look_at_image(struct walk *walk, const char *path,
			 struct qcow_info *info)
{
	struct qcow_error refused;
	struct file file;
	int ret = open_part(walk, path, &file);

	if (ret)
		return ret;
	ret = info_read(&file, info, &refused, &walk->why);
	file_close(&file);
	if (ret || !refused.text[0])
		return ret;
	walk->why = refused;
	return -ENOTSUP;
}

/* The data file of an image: raw, even if an image is in it. */
static int walk_data_file(struct walk *walk, const char *from,
			  const struct qcow_info *info)
{
	struct qcow_part part = {
		.role = QCOW_ROLE_DATA_FILE,
		.path = info->data_file,
		.format = "raw",
	};
	char *path = NULL;
	int ret;

	if (!info->has_data_file)
		return 0;
	if (info->data_file[0])
		ret = reference_resolve_from(
			walk->top, from,
			walk->depth ? QCOW_REFERS_TO_DATA_UNDER :
				      QCOW_REFERS_TO_DATA,
			info->data_file, walk->references, &path, &walk->why);
	else
		ret = fail(&walk->why, -EINVAL,
			   "its header does not name its external data file");
	if (!ret) {
		part.path = path;
		ret = look_at_raw(walk, &part);
	}
	if (ret)
		refuse(walk, part);
	else
		walk->visit(walk->opaque, &part);
	free(path);
	return ret;
}

static int walk_image(struct walk *walk, enum qcow_role role, const char *path,
		      const char *format);

static int resolve_backing(struct walk *walk, const char *from,
			   const struct qcow_info *info, char **path)
{
	int ret = backing_check_depth(walk->depth++, &walk->why);

	if (!ret)
		ret = reference_resolve_from(
			walk->top, from, QCOW_REFERS_TO_BACKING, info->backing,
			walk->references, path, &walk->why);
	if (!ret)
		ret = backing_check_format(info->backing_format, *path,
					   &walk->why);
	return ret;
}

static int walk_raw(struct walk *walk, const char *path)
{
	struct qcow_part part = {
		.role = QCOW_ROLE_BACKING,
		.path = path,
		.format = "raw",
	};
	int ret = look_at_raw(walk, &part);

	if (ret)
		refuse(walk, part);
	else
		walk->visit(walk->opaque, &part);
	return ret;
}

static int walk_backing(struct walk *walk, const char *from,
			const struct qcow_info *info)
{
	char *path = NULL;
	int ret;

	if (!info->has_backing)
		return 0;
	ret = resolve_backing(walk, from, info, &path);
	if (ret)
		refuse(walk, (struct qcow_part){
				     .role = QCOW_ROLE_BACKING,
				     .path = path ? path : info->backing,
				     .format = info->backing_format,
			     });
	else if (backing_is_raw(info->backing_format))
		ret = walk_raw(walk, path);
	else
		ret = walk_image(walk, QCOW_ROLE_BACKING, path,
				 info->backing_format);
	free(path);
	return ret;
}

/* The image itself cannot be refused here: the objections depend on the open,
   and on whether it is for writing (judge.c). */
static int walk_image(struct walk *walk, enum qcow_role role, const char *path,
		      const char *format)
{
	struct qcow_info *info = calloc(1, sizeof(*info));
	struct qcow_part part = {
		.role = role,
		.path = path,
		.format = format,
		.info = info,
	};
	int ret;

	if (!info)
		return fail(&walk->why, -ENOMEM, "out of memory");
	ret = look_at_image(walk, path, info);
	part.size = info->size;
	if (!info->version)
		part.info = NULL;
	if (info->version == 1)
		part.format = "qcow";
	if (ret && (role != QCOW_ROLE_IMAGE || !part.info)) {
		refuse(walk, part);
	} else {
		walk->visit(walk->opaque, &part);
		/* Version 1 is never read together with the files under it. */
		if (info->version > 1)
			ret = walk_data_file(walk, path, info);
		if (!ret && info->version > 1)
			ret = walk_backing(walk, path, info);
	}
	free(info);
	return ret;
}

int qcow_list_parts(const char *path, const struct qcow_references *references,
		    void (*visit)(void *opaque, const struct qcow_part *part),
		    void *opaque, struct qcow_error *error)
{
	struct walk walk = {
		.references = references,
		.visit = visit,
		.opaque = opaque,
	};
	char *top = reference_path(path);

	if (!top)
		return fail(error, -errno, "%s", strerror(errno));
	walk.top = top;
	/* Refusals have been told of. */
	walk_image(&walk, QCOW_ROLE_IMAGE, top, "qcow2");
	free(top);
	return 0;
}
