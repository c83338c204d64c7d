// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What `info` tells of an image: its header, put into words elsewhere.  This
 * works for images that cannot be served, takes no locks and changes nothing;
 * of an image in use it may tell yesterday's news.
 */
#include <errno.h>
#include <stdlib.h>
#include "internal.h"

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
		header_backing_format(&header, &area, info->backing_format);
		if (header.backing_offset)
			ret = header_read_backing(&file, &header,
						  info->backing);
		if (!ret)
			ret = file_size(&file, &info->file_size);
		if (ret)
			fail(error, ret, "%s", strerror(-ret));
	}
	free(area.bytes);
	file_close(&file);
	return ret;
}
