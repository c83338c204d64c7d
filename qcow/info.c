// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The header of an image, as a struct; `info` puts it into words.
 * This works for images that cannot be served, takes no locks and changes
 * nothing; of an image in use it may tell yesterday's news.
 *
 * Legacy images have headers of their own, or are judged by rules of their
 * own, so there are two ways through this file.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include "qcow/error.h"
#include "qcow/info.h"
#include "qcow/layers.h"
#include "qcow/legacy/legacy.h"

static int note_file(struct file *file, struct qcow_info *info)
{
	struct stat st;

	if (!file_look(file, &st))
		info->disk_usage = st.st_blocks * 512ull;
	return file_size(file, &info->file_size);
}

/* ---- version 1 ---- */

/* A name that lies anywhere in the file. */
static int read_name(struct file *file, uint64_t offset, uint32_t length,
		     char name[MAX_BACKING_NAME + 1], struct qcow_error *error)
{
	int ret;

	if (length > MAX_BACKING_NAME || offset > (uint64_t)INT64_MAX - length)
		return fail(error, -EINVAL,
			    "header: the backing file's name cannot be there");
	ret = file_read_loosely(file, name, offset, length);
	if (ret)
		return fail(error, ret, "reading its backing file's name: %s",
			    strerror(-ret));
	name[length] = 0;
	return 0;
}

static int read_v1(struct file *file, struct qcow_info *info,
		   struct qcow_error *refused, struct qcow_error *error)
{
	struct gate gate;
	int ret = gate_look(file, &gate, error);

	if (ret)
		return ret;
	*info = (struct qcow_info){
		.version = 1,
		.size = gate.size,
		.cluster_size = 1u << gate.cluster_bits,
		.crypt_method = gate.encrypted,
		.has_backing = gate.backing_offset,
	};
	if (gate.backing_offset)
		ret = read_name(file, gate.backing_offset, gate.backing_size,
				info->backing, error);
	if (!ret)
		gate_check(file, &gate, refused);
	return ret;
}

/* ---- versions 2 and 3 ---- */

static void copy_fields(const struct header *h, struct qcow_info *info)
{
	*info = (struct qcow_info){
		.version = h->version,
		/* As a disk has it. */
		.size = round_down(h->size, QCOW_SECTOR),
		.cluster_size = 1u << h->cluster_bits,
		.refcount_bits = 1u << h->refcount_order,
		.incompatible = h->incompatible,
		.compatible = h->compatible,
		.autoclear = h->autoclear,
		.compression_type = h->compression_type,
		.snapshots = h->nb_snapshots,
		.crypt_method = h->crypt_method,
		.has_data_file = h->incompatible & INCOMPATIBLE_DATA_FILE,
		.has_backing = h->backing_offset,
	};
}

static int copy_names(struct file *file, const struct header *h,
		      const struct header_area *area, struct qcow_info *info,
		      struct qcow_error *error)
{
	int ret;

	info->nr_features = features_list(h, area, info->features);
	info->bitmaps = bitmaps_count(h, area);
	header_backing_format(h, area, info->backing_format);
	/* If it is not named, the open that wants it will say so. */
	if (info->has_data_file)
		data_find_name(h, area, info->data_file,
			       sizeof(info->data_file), NULL);
	if (!h->backing_offset)
		return 0;
	ret = header_read_backing(file, h, info->backing);
	return ret ? fail(error, ret, "%s", strerror(-ret)) : 0;
}

static void judge(struct file *file, const struct header *h,
		  const struct header_area *area, struct qcow_error *refused)
{
	struct gate gate;

	if (h->version == 2 && h->crypt_method == 1)
		gate_check(file, &gate, refused);
	else
		support_check(h, area, true, refused);
}

static int read_v2(struct file *file, struct qcow_info *info,
		   struct qcow_error *refused, struct qcow_error *error)
{
	struct header_area area = { 0 };
	struct header header;
	int ret = header_read(file, &header, &area, error);

	if (!ret) {
		copy_fields(&header, info);
		ret = copy_names(file, &header, &area, info, error);
	}
	if (!ret) {
		info->has_journal = journal_is_pending(file, &header, NULL);
		judge(file, &header, &area, refused);
	}
	free(area.bytes);
	return ret;
}

/* ---- all ---- */

static int find_version(struct file *file, uint32_t *version)
{
	uint8_t bytes[HEADER_VERSION + 4];
	int ret = file_read_loosely(file, bytes, 0, sizeof(bytes));

	*version = 0;
	if (!ret && load_be32(bytes + HEADER_MAGIC) == QCOW_MAGIC)
		*version = load_be32(bytes + HEADER_VERSION);
	return ret;
}

int info_read(struct file *file, struct qcow_info *info,
	      struct qcow_error *refused, struct qcow_error *error)
{
	uint32_t version;
	int ret = find_version(file, &version);

	refused->text[0] = 0;
	if (ret)
		return fail(error, ret, "reading the header: %s",
			    strerror(-ret));
	if (version == 1)
		ret = read_v1(file, info, refused, error);
	else
		ret = read_v2(file, info, refused, error);
	if (ret)
		return ret;
	ret = note_file(file, info);
	return ret ? fail(error, ret, "%s", strerror(-ret)) : 0;
}

static int open_to_look(const char *path, struct file *file,
			struct qcow_error *error)
{
	const struct qcow_options options = {
		.read_only = true,
		.cache = QCOW_CACHE_WRITEBACK,
	};

	return file_open(file, path, &options, error);
}

int info_open(const char *path, struct file *file, struct header *header,
	      struct header_area *area, struct qcow_error *error)
{
	int ret = open_to_look(path, file, error);

	if (ret)
		return ret;
	ret = header_read(file, header, area, error);
	if (!ret)
		return 0;
	free(area->bytes);
	file_close(file);
	return ret;
}

int qcow_read_info(const char *path, struct qcow_info *info,
		   struct qcow_error *error)
{
	struct qcow_error refused;
	struct file file;
	int ret = open_to_look(path, &file, error);

	if (!ret)
		ret = info_read(&file, info, &refused, error);
	file_close(&file);
	return ret;
}
