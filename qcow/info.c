/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What `info` tells of an image: its header, put into words elsewhere.  This
 * works for images that cannot be served, takes no locks and changes nothing;
 * of an image in use it may tell yesterday's news.
 */
#include <errno.h>
#include <stdlib.h>
#include "internal.h"

static void copy_text(char *to, size_t size, const uint8_t *from,
		      uint32_t length)
{
	size_t n = min_u64(length, size - 1);

	memcpy(to, from, n);
	to[n] = 0;
}

/* The name lies in the first cluster, behind what header_read() keeps. */
static int read_backing_name(struct file *file, const struct header *h,
			     struct qcow_info *info)
{
	uint64_t end = h->backing_offset + h->backing_size;
	uint8_t *bytes;
	int ret;

	if (!h->backing_offset)
		return 0;
	bytes = file_buffer(round_up(end, file->alignment));
	if (!bytes)
		return -ENOMEM;
	ret = file_read(file, bytes, 0, round_up(end, file->alignment));
	copy_text(info->backing, sizeof(info->backing),
		  bytes + h->backing_offset, h->backing_size);
	free(bytes);
	return ret;
}

static void find_backing_format(const struct header *h,
				const struct header_area *area,
				struct qcow_info *info)
{
	uint32_t type, length;
	const uint8_t *data;
	uint32_t at = h->length;

	while (header_next_extension(h, area, &at, &type, &length, &data))
		if (type == EXTENSION_BACKING_FORMAT)
			copy_text(info->backing_format,
				  sizeof(info->backing_format), data, length);
}

static void copy_fields(const struct header *h, struct qcow_info *info)
{
	*info = (struct qcow_info){
		.version = h->version,
		.size = h->size,
		.cluster_size = 1u << h->cluster_bits,
		.refcount_bits = 1u << h->refcount_order,
		.incompatible = h->incompatible,
		.compatible = h->compatible,
		.autoclear = h->autoclear,
		.snapshots = h->nb_snapshots,
		.crypt_method = h->crypt_method,
		.has_backing = h->backing_offset,
	};
}

int qcow_read_info(const char *path, struct qcow_info *info,
		   struct qcow_error *error)
{
	const struct qcow_options options = {
		.read_only = true,
		.cache = QCOW_CACHE_WRITEBACK,
	};
	struct header_area area = { 0 };
	struct header header;
	struct file file;
	int ret = file_open(&file, path, &options, error);

	if (ret)
		return ret;
	ret = header_read(&file, &header, &area, error);
	if (!ret) {
		copy_fields(&header, info);
		find_backing_format(&header, &area, info);
		ret = read_backing_name(&file, &header, info);
		if (!ret)
			ret = file_size(&file, &info->file_size);
		if (ret)
			fail(error, ret, "%s", strerror(-ret));
	}
	free(area.bytes);
	file_close(&file);
	return ret;
}
