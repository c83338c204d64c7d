// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The table of internal snapshots, read to be told of, and to know where it
 * and the snapshots' L1 tables lie (guard.c): the engine has no other use for
 * the table.
 *
 * An entry is a head, extra data of which the beginning is known, an id and a
 * name, padded to 8 bytes.  Nothing of it is trusted: the table as a whole
 * has a bound, which is QEMU's, and so has the memory (P6).
 */
#include <errno.h>
#include <stdlib.h>
#include "qcow/error.h"
#include "qcow/image.h"
#include "qcow/info.h"

#define MAX_SNAPSHOTS	65536u
#define MAX_TABLE_BYTES (64u << 20)
#define HEAD_SIZE	40u
#define EXTRA_KNOWN	16u /* size of the VM's state, disk size */

/* Of an entry's head: byte offsets. */
enum {
	HEAD_L1_OFFSET = 0,
	HEAD_L1_SIZE = 8,  /* entries */
	HEAD_ID_SIZE = 12, /* two bytes each */
	HEAD_NAME_SIZE = 14,
	HEAD_DATE = 16,
	HEAD_DATE_NS = 20,
	HEAD_VM_CLOCK = 24,
	HEAD_VM_STATE_SIZE = 32,
	HEAD_EXTRA_SIZE = 36,
};

struct table {
	struct file *file;
	uint64_t start, end; /* end: the file's, or the limit's */
	uint64_t at;	     /* the next entry */
};

static int read_next(struct table *table, void *bytes, uint64_t length)
{
	int ret;

	if (length > table->end - table->at)
		return -EUCLEAN;
	ret = file_read_loosely(table->file, bytes, table->at, length);
	table->at += length;
	return ret;
}

static int skip(struct table *table, uint64_t length)
{
	if (length > table->end - table->at)
		return -EUCLEAN;
	table->at += length;
	return 0;
}

/* Fills in the fields of the extra data, as far as they go. */
static int read_extra(struct table *table, uint32_t length,
		      struct qcow_snapshot *snapshot)
{
	uint8_t extra[EXTRA_KNOWN] = { 0 };
	uint32_t known = min_u64(length, EXTRA_KNOWN);
	int ret = read_next(table, extra, known);

	if (known >= 8)
		snapshot->vm_state_size = load_be64(extra);
	if (known >= 16)
		snapshot->size = load_be64(extra + 8);
	return ret ? ret : skip(table, length - known);
}

static int read_text(struct table *table, uint32_t length, char **text)
{
	int ret;

	*text = calloc(1, length + 1);
	if (!*text)
		return -ENOMEM;
	ret = length ? read_next(table, *text, length) : 0;
	return ret;
}

static int visit_next(struct table *table, uint64_t size,
		      void (*visit)(void *opaque,
				    const struct qcow_snapshot *snapshot),
		      void *opaque)
{
	struct qcow_snapshot snapshot = { .size = size };
	char *id = NULL, *name = NULL;
	uint8_t head[HEAD_SIZE];
	int ret = read_next(table, head, sizeof(head));

	if (ret)
		return ret;
	snapshot.date = load_be32(head + HEAD_DATE);
	snapshot.date_ns = load_be32(head + HEAD_DATE_NS);
	snapshot.vm_clock = load_be64(head + HEAD_VM_CLOCK);
	snapshot.vm_state_size = load_be32(head + HEAD_VM_STATE_SIZE);
	ret = read_extra(table, load_be32(head + HEAD_EXTRA_SIZE), &snapshot);
	if (!ret)
		ret = read_text(table, load_be16(head + HEAD_ID_SIZE), &id);
	if (!ret)
		ret = read_text(table, load_be16(head + HEAD_NAME_SIZE), &name);
	if (!ret) {
		snapshot.id = id;
		snapshot.name = name;
		visit(opaque, &snapshot);
	}
	free(id);
	free(name);
	return ret;
}

static int begin(struct table *table, struct file *file, const struct header *h)
{
	uint64_t size;
	int ret = file_size(file, &size);

	if (ret)
		return ret;
	*table = (struct table){
		.file = file,
		.start = h->snapshots_offset,
		.at = h->snapshots_offset,
	};
	if (h->nb_snapshots > MAX_SNAPSHOTS ||
	    !is_aligned(table->start, 1ull << h->cluster_bits) ||
	    !table->start || table->start > size)
		return -EUCLEAN;
	table->end = min_u64(size, table->start + MAX_TABLE_BYTES);
	return 0;
}

static void pad(struct table *table)
{
	table->at = min_u64(round_up(table->at, 8), table->end);
}

static int list(struct file *file, const struct header *h,
		void (*visit)(void *opaque,
			      const struct qcow_snapshot *snapshot),
		void *opaque)
{
	struct table table;
	int ret;

	if (!h->nb_snapshots)
		return 0;
	ret = begin(&table, file, h);
	for (uint32_t i = 0; i < h->nb_snapshots && !ret; i++) {
		ret = visit_next(&table, h->size, visit, opaque);
		pad(&table);
	}
	return ret;
}

int qcow_list_snapshots(const char *path,
			void (*visit)(void *opaque,
				      const struct qcow_snapshot *snapshot),
			void *opaque, struct qcow_error *error)
{
	struct header_area area = { 0 };
	struct header header;
	struct file file;
	int ret = info_open(path, &file, &header, &area, error);

	if (ret)
		return ret;
	ret = list(&file, &header, visit, opaque);
	if (ret)
		fail(error, ret, "its snapshot table %s",
		     ret == -EUCLEAN ? "is malformed, too large or cut off" :
				       strerror(-ret));
	free(area.bytes);
	file_close(&file);
	return ret;
}

/* ---- where they lie ---- */

/* An L1 table that cannot be is nobody's. */
static int guard_next(struct qcow_image *image, struct table *table)
{
	uint8_t head[HEAD_SIZE];
	uint64_t offset, length;
	int ret = read_next(table, head, sizeof(head));

	if (ret)
		return ret;
	offset = load_be64(head + HEAD_L1_OFFSET);
	length = load_be32(head + HEAD_L1_SIZE) * 8ull;
	if (length && length <= MAX_L1_BYTES &&
	    is_aligned(offset, 1ull << image->geometry.cluster_bits) &&
	    offset >> image->geometry.cluster_bits <
		    image->allocator.high_water)
		ret = guard_add(image, offset, length);
	if (!ret)
		ret = skip(table, load_be32(head + HEAD_EXTRA_SIZE));
	if (!ret)
		ret = skip(table, load_be16(head + HEAD_ID_SIZE) +
					  load_be16(head + HEAD_NAME_SIZE));
	pad(table);
	return ret;
}

int snapshots_guard(struct qcow_image *image)
{
	const struct header *h = &image->header;
	struct table table;
	int ret;

	if (!h->nb_snapshots)
		return 0;
	ret = begin(&table, &image->file, h);
	for (uint32_t i = 0; i < h->nb_snapshots && !ret; i++)
		ret = guard_next(image, &table);
	return ret ? ret :
		     guard_add(image, table.start, table.at - table.start);
}
