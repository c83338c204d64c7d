// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A new overlay: an image that has nothing yet and shows the file under it.
 *
 * It is wholly written before it has its name (place.c), so there is never a
 * part of an image at path (P3).
 *
 * The name of the file under it is a relative one if it lies beside: both may
 * be moved together then, and it needs no admin's word (P6).
 *
 * Clusters as large as those below are copied and merged one by one.  Smaller
 * ones than 4 KiB would keep direct I/O from most disks.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>
#include "qcow/blank.h"
#include "qcow/create.h"
#include "qcow/error.h"
#include "qcow/layers.h"
#include "qcow/place.h"

#define DEFAULT_BITS 16
#define LEAST_BITS   12
#define LABEL	     "security.selinux"
#define LABEL_MAX    1024

/* ---- the bytes ---- */

static int write_image(int fd, const struct blank *plan,
		       struct qcow_error *error)
{
	struct file file = { .fd = fd };
	uint8_t *bytes;
	int ret = blank_put(plan, &bytes, error);

	if (ret)
		return ret;
	ret = file_write(&file, bytes, 0, blank_bytes(plan));
	if (!ret)
		ret = file_set_size(&file, blank_end(plan));
	free(bytes);
	return ret ? fail(error, ret, "writing it: %s", strerror(-ret)) : 0;
}

/* ---- like the file under it ---- */

static int copy_label(int fd, int from)
{
	char label[LABEL_MAX];
	ssize_t size = fgetxattr(from, LABEL, label, sizeof(label));

	if (size < 0)
		return 0;
	return fsetxattr(fd, LABEL, label, size, 0) && errno != EOPNOTSUPP ?
		       -errno :
		       0;
}

/* The users of that one may use this one. */
static int copy_owner(int fd, int from, struct qcow_error *error)
{
	struct stat st;
	int ret = 0;

	if (fstat(from, &st) || fchown(fd, st.st_uid, st.st_gid) ||
	    fchmod(fd, st.st_mode & 0777))
		ret = -errno;
	if (!ret)
		ret = copy_label(fd, from);
	return ret ? fail(error, ret,
			  "giving it the owner of the file under it: %s",
			  strerror(-ret)) :
		     0;
}

static int take_cluster_bits(struct file *backing, struct blank *plan,
			     struct qcow_error *error)
{
	uint8_t *bytes;
	int ret;

	plan->cluster_bits = DEFAULT_BITS;
	if (strcmp(plan->format, "qcow2"))
		return 0;
	ret = header_read_first(backing, &bytes, error);
	if (ret)
		return ret;
	plan->cluster_bits = max_u64(load_be32(bytes + HEADER_CLUSTER_BITS),
				     LEAST_BITS);
	if (load_be32(bytes) != QCOW_MAGIC ||
	    plan->cluster_bits > MAX_CLUSTER_BITS)
		ret = fail(error, -EINVAL,
			   "the file under it is no qcow2 image");
	free(bytes);
	return ret;
}

static int choose_clusters(struct file *backing,
			   const struct qcow_overlay *overlay,
			   struct blank *plan, struct qcow_error *error)
{
	uint32_t size = overlay->cluster_size;

	if (!size)
		return take_cluster_bits(backing, plan, error);
	if (!is_power_of_2(size) || size < 1u << MIN_CLUSTER_BITS ||
	    size > 1u << MAX_CLUSTER_BITS)
		return fail(
			error, -EINVAL,
			"a cluster has 512 bytes to 2 MiB, a power of two, and not %u",
			size);
	plan->cluster_bits = __builtin_ctz(size);
	return 0;
}

/* ---- its place ---- */

static int make_file(struct place *place, const struct blank *plan,
		     const struct file *backing, struct qcow_error *error)
{
	int ret = place_open(place);

	if (ret)
		return fail(error, ret, "%s: %s", place->directory,
			    strerror(-ret));
	ret = write_image(place->fd, plan, error);
	if (!ret)
		ret = copy_owner(place->fd, backing->fd, error);
	if (ret)
		return ret;
	ret = place_settle(place);
	return ret ? fail(error, ret, "%s", strerror(-ret)) : 0;
}

/* ---- all of it ---- */

/* A name with a colon would be taken for a protocol's. */
static char *choose_name(const struct qcow_overlay *overlay,
			 const struct place *place)
{
	char *path = reference_path(overlay->backing);
	char *slash = path ? strrchr(path, '/') : NULL;
	size_t length = strlen(place->directory);

	if (!slash || strchr(slash, ':') || length != (size_t)(slash - path) ||
	    strncmp(path, place->directory, length))
		return path;
	memmove(path, slash + 1, strlen(slash));
	return path;
}

static int plan_image(const struct qcow_overlay *overlay, struct file *backing,
		      struct blank *plan, struct qcow_error *error)
{
	int ret;

	*plan = (struct blank){
		.size = overlay->size,
		.format = overlay->format,
	};
	if (!overlay->size || !is_aligned(overlay->size, QCOW_SECTOR))
		return fail(error, -EINVAL,
			    "a disk's size is a multiple of %u bytes",
			    QCOW_SECTOR);
	ret = backing_check_format(overlay->format, overlay->backing, error);
	if (!ret)
		ret = choose_clusters(backing, overlay, plan, error);
	return ret ? ret : blank_plan(plan, error);
}

static int create(const char *path, const struct qcow_overlay *overlay,
		  struct file *backing, struct qcow_error *error)
{
	struct blank plan;
	struct place place;
	char *name = NULL;
	int ret = plan_image(overlay, backing, &plan, error);

	if (ret)
		return ret;
	ret = place_find(path, &place, error);
	if (!ret) {
		name = overlay->name ? strdup(overlay->name) :
				       choose_name(overlay, &place);
		plan.name = name;
		ret = name ? make_file(&place, &plan, backing, error) :
			     fail(error, -errno, "%s: %s", overlay->backing,
				  strerror(errno));
	}
	place_leave(&place);
	free(name);
	return ret;
}

int qcow_create_overlay(const char *path, const struct qcow_overlay *overlay,
			struct qcow_error *error)
{
	const struct qcow_options options = {
		.read_only = true,
		.cache = QCOW_CACHE_WRITEBACK,
	};
	struct qcow_error why = { "" };
	struct file backing;
	int ret = file_open(&backing, overlay->backing, &options, &why);

	if (ret)
		return fail(error, ret, "%.200s: %.240s", overlay->backing,
			    why.text);
	ret = create(path, overlay, &backing, error);
	file_close(&backing);
	return ret;
}
