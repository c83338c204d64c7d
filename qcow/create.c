// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A new overlay: an image that has nothing yet and shows the file under it.
 *
 *	| header, name | refcount table | blocks | L1 table, a hole |
 *
 * It is wholly written before it has its name (place.c), so there is never a
 * part of an image at path (P3).
 *
 * The name of the file under it is a relative one if it lies beside: both may
 * be moved together then, and it needs no admin's word (P6).  Between the last
 * extension and that name there is room for our mark (R12), which qemu-img does
 * not leave.
 *
 * Clusters as large as those below are copied and merged one by one.  Smaller
 * ones than 4 KiB would keep direct I/O from most disks.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>
#include "qcow/create.h"
#include "qcow/error.h"
#include "qcow/layers.h"
#include "qcow/place.h"

#define DEFAULT_BITS   16
#define LEAST_BITS     12
#define REFCOUNT_ORDER 4
#define LABEL	       "security.selinux"
#define LABEL_MAX      1024
#define NEW_LENGTH     112 /* of the header: with compression type, padded */

/* ---- the bytes ---- */

struct plan {
	uint32_t cluster_bits;
	uint64_t size;
	uint64_t l1_entries;
	uint64_t table, blocks, l1; /* clusters of each */
	const char *name, *format;  /* of the file under it */
};

static uint64_t total(const struct plan *plan)
{
	return 1 + plan->table + plan->blocks + plan->l1;
}

static int plan_tables(struct plan *plan, struct qcow_error *error)
{
	unsigned int bits = plan->cluster_bits;
	uint64_t reach = 1ull << (bits + 3 - REFCOUNT_ORDER);

	plan->l1_entries = div_round_up(plan->size, 1ull << (2 * bits - 3));
	if (plan->l1_entries > MAX_L1_BYTES / 8)
		return fail(error, -EFBIG,
			    "with clusters of %u bytes a disk cannot have %llu",
			    1u << bits, (unsigned long long)plan->size);
	plan->l1 = div_round_up(plan->l1_entries * 8, 1ull << bits);
	do {
		plan->blocks++;
		plan->table = div_round_up(plan->blocks * 8, 1ull << bits);
	} while (plan->blocks * reach < total(plan));
	return 0;
}

static void put_fields(uint8_t *p, const struct plan *plan)
{
	store_be32(p + HEADER_MAGIC, QCOW_MAGIC);
	store_be32(p + HEADER_VERSION, 3);
	store_be32(p + HEADER_CLUSTER_BITS, plan->cluster_bits);
	store_be64(p + HEADER_SIZE, plan->size);
	store_be32(p + HEADER_L1_SIZE, plan->l1_entries);
	store_be64(p + HEADER_L1_OFFSET, (1 + plan->table + plan->blocks)
						 << plan->cluster_bits);
	store_be64(p + HEADER_REFCOUNT_TABLE_OFFSET,
		   1ull << plan->cluster_bits);
	store_be32(p + HEADER_REFCOUNT_TABLE_CLUSTERS, plan->table);
	store_be32(p + HEADER_REFCOUNT_ORDER, REFCOUNT_ORDER);
	store_be32(p + HEADER_LENGTH, NEW_LENGTH);
}

/* The format, the end mark with room for our own extension, and the name. */
static int put_names(uint8_t *p, const struct plan *plan,
		     struct qcow_error *error)
{
	uint32_t format_size = strlen(plan->format);
	uint32_t end = NEW_LENGTH + EXTENSION_HEAD + round_up(format_size, 8);
	uint32_t offset = end + 2 * EXTENSION_HEAD + LIFE_SIZE;
	size_t size = strlen(plan->name);

	if (size > MAX_BACKING_NAME ||
	    size > (1ull << plan->cluster_bits) - offset)
		return fail(
			error, -ENAMETOOLONG,
			"the name of the file under it is too long for a header: %.200s",
			plan->name);
	store_be32(p + NEW_LENGTH, EXTENSION_BACKING_FORMAT);
	store_be32(p + NEW_LENGTH + 4, format_size);
	memcpy(p + NEW_LENGTH + EXTENSION_HEAD, plan->format, format_size);
	memcpy(p + offset, plan->name, size);
	store_be64(p + HEADER_BACKING_OFFSET, offset);
	store_be32(p + HEADER_BACKING_SIZE, size);
	return 0;
}

static void put_table(uint8_t *p, const struct plan *plan)
{
	for (uint64_t i = 0; i < plan->blocks; i++)
		store_be64(p + i * 8, (1 + plan->table + i)
					      << plan->cluster_bits);
}

/* Every cluster of the image counts one. */
static void put_counts(uint8_t *p, const struct plan *plan)
{
	for (uint64_t i = 0; i < total(plan); i++)
		p[2 * i + 1] = 1;
}

static int write_image(int fd, const struct plan *plan,
		       struct qcow_error *error)
{
	uint64_t cluster = 1ull << plan->cluster_bits;
	uint64_t length = (1 + plan->table + plan->blocks) * cluster;
	struct file file = { .fd = fd };
	uint8_t *bytes = calloc(1, length);
	int ret;

	if (!bytes)
		return fail(error, -ENOMEM, "out of memory");
	put_fields(bytes, plan);
	put_table(bytes + cluster, plan);
	put_counts(bytes + (1 + plan->table) * cluster, plan);
	ret = put_names(bytes, plan, error);
	if (!ret) {
		ret = file_write(&file, bytes, 0, length);
		if (!ret)
			ret = file_set_size(&file, total(plan) * cluster);
		if (ret)
			fail(error, ret, "writing it: %s", strerror(-ret));
	}
	free(bytes);
	return ret;
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

static int take_cluster_bits(struct file *backing, struct plan *plan,
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
			   struct plan *plan, struct qcow_error *error)
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

static int make_file(struct place *place, const struct plan *plan,
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
		      struct plan *plan, struct qcow_error *error)
{
	int ret;

	*plan = (struct plan){
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
	return ret ? ret : plan_tables(plan, error);
}

static int create(const char *path, const struct qcow_overlay *overlay,
		  struct file *backing, struct qcow_error *error)
{
	struct plan plan;
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
