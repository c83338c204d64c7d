// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The mark of an image that was merged into one below it.
 *
 * After the next write to the image below, the image above does not fit it any
 * more.  The format has no bit for that: its bits for features are reserved,
 * and an image with the bit for corruption invites a repair.  So the mark is an
 * extension of our own, which other programs keep and do not heed.  The mark
 * names the image that holds all, or nothing if there is no room for the name.
 *
 *	| header | mark | extensions as they were | end |   | backing name
 *
 * Extensions are moved behind the mark, and so is the backing name.  If they
 * leave no room, the table of the features' names goes, which is for people.
 * The image is not needed any more by then: so one write will do, and if a loss
 * of power tears the write apart, the first sector has the mark.
 */
#include <errno.h>
#include <stdlib.h>
#include "qcow/bits.h"
#include "qcow/error.h"
#include "qcow/header.h"
#include "qcow/merge.h"

/* The first cluster, before and after. */
struct marking {
	const struct header *header;
	const struct header_area *area;
	const uint8_t *old;
	uint8_t *new;
	uint32_t size;
	uint32_t at; /* the next bytes go there */
};

bool header_is_merged(const struct header *header,
		      const struct header_area *area, const char **into,
		      uint32_t *length)
{
	uint32_t at = header->length, type;
	const uint8_t *data;

	while (header_next_extension(header, area, &at, &type, length, &data)) {
		*into = (const char *)data;
		if (type == EXTENSION_MERGED)
			return true;
	}
	return false;
}

static bool put_extension(struct marking *m, uint32_t type, const void *data,
			  uint32_t length)
{
	uint64_t end = m->at + EXTENSION_HEAD + round_up((uint64_t)length, 8);

	if (end > m->size)
		return false;
	store_be32(m->new + m->at, type);
	store_be32(m->new + m->at + 4, length);
	memcpy(m->new + m->at + EXTENSION_HEAD, data, length);
	m->at = end;
	return true;
}

static bool is_kept(uint32_t type, bool with_names)
{
	return type != EXTENSION_VOID && type != EXTENSION_LIFE &&
	       (with_names || type != EXTENSION_FEATURE_NAMES);
}

static bool put_others(struct marking *m, bool with_names)
{
	uint32_t at = m->header->length, type, length;
	const uint8_t *data;

	while (header_next_extension(m->header, m->area, &at, &type, &length,
				     &data))
		if (is_kept(type, with_names) &&
		    !put_extension(m, type, data, length))
			return false;
	return put_extension(m, EXTENSION_END, "", 0);
}

static bool put_backing(struct marking *m)
{
	const struct header *h = m->header;

	if (!h->backing_offset)
		return true;
	if (h->backing_size > m->size - m->at)
		return false;
	memcpy(m->new + m->at, m->old + h->backing_offset, h->backing_size);
	store_be64(m->new + HEADER_BACKING_OFFSET, m->at);
	return true;
}

static bool put_all(struct marking *m, const char *into, bool with_names)
{
	memset(m->new, 0, m->size);
	memcpy(m->new, m->old, m->header->length);
	m->at = m->header->length;
	return put_extension(m, EXTENSION_MERGED, into, strlen(into)) &&
	       put_others(m, with_names) && put_backing(m);
}

static int write_mark(struct file *file, const struct header *header,
		      const struct header_area *area, const char *into)
{
	const uint32_t size = 1u << header->cluster_bits;
	const uint32_t whole = round_up(size, file->alignment);
	uint8_t *old = file_buffer(whole), *new = file_buffer(whole);
	struct marking m = {
		.header = header,
		.area = area,
		.old = old,
		.new = new,
		.size = size,
	};
	int ret = old && new ? file_read(file, old, 0, whole) : -ENOMEM;

	if (!ret)
		memcpy(new, old, whole);
	if (!ret && !put_all(&m, into, true) && !put_all(&m, into, false) &&
	    !put_all(&m, "", false))
		ret = -ENOSPC;
	if (!ret)
		ret = file_write(file, new, 0, whole);
	if (!ret)
		ret = file_sync(file);
	free(old);
	free(new);
	return ret;
}

static int mark(struct file *file, const char *into, struct qcow_error *error)
{
	struct header_area area;
	struct header header;
	const char *before;
	uint32_t length;
	int ret = header_read_unplaced(file, &header, &area, error);

	if (!ret && !header_is_merged(&header, &area, &before, &length)) {
		ret = write_mark(file, &header, &area, into);
		if (ret)
			fail(error, ret, "writing its header: %s",
			     strerror(-ret));
	}
	free(area.bytes);
	return ret;
}

static bool look(struct file *file)
{
	struct header_area area;
	struct header header;
	struct qcow_error error;
	const char *into;
	uint32_t length;
	bool merged = !header_read_unplaced(file, &header, &area, &error) &&
		      header_is_merged(&header, &area, &into, &length);

	free(area.bytes);
	return merged;
}

bool qcow_is_merged(const char *path)
{
	const struct qcow_options options = {
		.read_only = true,
		.cache = QCOW_CACHE_WRITEBACK,
	};
	struct qcow_error error;
	struct file file;
	bool merged;

	if (file_open(&file, path, &options, &error))
		return false;
	merged = look(&file);
	file_close(&file);
	return merged;
}

int qcow_mark_merged(const char *path, const struct qcow_identity *identity,
		     const char *into, struct qcow_error *error)
{
	const struct qcow_options options = {
		.cache = QCOW_CACHE_WRITEBACK,
		.locking = QCOW_LOCK_TEST,
	};
	struct file file;
	int ret = file_open(&file, path, &options, error);

	if (ret)
		return ret;
	ret = file_check(&file, identity, error);
	if (!ret)
		ret = lock_image(&file, &options, error);
	if (!ret)
		ret = mark(&file, into, error);
	file_close(&file);
	return ret;
}
