// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Walking the tables, in time and memory that follow from the contents of the
 * file and not from its claims.
 *
 * L1 tables are read in pieces.  Snapshots share their L2 tables with the disk
 * and with each other.  So the references to an L2 table are added up first.
 * Then the table is read once, in the order of the file, with the sum as its
 * weight: thousands of snapshots, or an L1 table that names one L2 table a
 * million times, cost one read of it.
 *
 * The list of L2 tables has a fixed size.  If there are more tables, the list
 * covers a smaller part of the file, and the part beyond gets a turn of its
 * own, as with the windows of counts.c.
 *
 * Where the file has holes the tables are empty, and holes cost nothing.
 */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>
#include "qcow/check/check.h"

#define PIECE_BYTES (64u << 10)

/* Nothing but zeros, because the file has nothing there? */
static bool is_hole(const struct check *check, uint64_t offset, uint64_t length)
{
	off_t data;

	if (check->file->test && check->file->test->ops)
		return false;
	data = lseek(check->file->fd, offset, SEEK_DATA);
	if (data < 0)
		return errno == ENXIO;
	return (uint64_t)data >= offset + length;
}

/* ---- roots ---- */

static int read_piece(struct check *check, const struct root *root,
		      uint32_t index, uint8_t *piece, root_function *function)
{
	uint32_t count = min_u64(root->entries - index, PIECE_BYTES / 8);
	uint64_t length = round_up(count * 8ull, check->file->alignment);
	uint64_t offset = root->offset + index * 8ull;
	int ret;

	if (is_hole(check, offset, length))
		return 0;
	ret = file_read(check->file, piece, offset, length);
	if (ret) {
		check_failed(check, "cannot read a table at offset %#llx: %s",
			     (unsigned long long)offset, strerror(-ret));
		return 0;
	}
	return function(check, root, index, piece, count);
}

static int walk_root(struct check *check, const struct root *root,
		     uint8_t *piece, root_function *function)
{
	for (uint64_t i = 0; i < root->entries; i += PIECE_BYTES / 8) {
		int ret = read_piece(check, root, i, piece, function);

		if (ret)
			return ret;
	}
	return 0;
}

int check_each_root(struct check *check, enum root_kind from, enum root_kind to,
		    root_function *function)
{
	uint8_t *piece = file_buffer(PIECE_BYTES);
	int ret = piece ? 0 : -ENOMEM;

	for (uint32_t i = 0; i < check->nr_roots && !ret; i++) {
		const struct root *root = &check->roots[i];

		if (root->kind >= from && root->kind <= to)
			ret = walk_root(check, root, piece, function);
	}
	free(piece);
	return ret;
}

/* ---- the list of L2 tables ---- */

static int compare_tables(const void *a, const void *b)
{
	const struct table *x = a, *y = b;

	return x->offset < y->offset ? -1 : x->offset > y->offset;
}

static void merge(struct tables *tables)
{
	uint32_t used = 0;

	qsort(tables->list, tables->used, sizeof(*tables->list),
	      compare_tables);
	for (uint32_t i = 0; i < tables->used; i++) {
		struct table *table = &tables->list[i];

		if (used && tables->list[used - 1].offset == table->offset) {
			tables->list[used - 1].references += table->references;
			tables->list[used - 1].active += table->active;
		} else {
			tables->list[used++] = *table;
		}
	}
	tables->used = used;
}

/* The upper half of the list waits for its turn. */
static void shrink(struct tables *tables)
{
	merge(tables);
	if (tables->used <= tables->capacity / 2)
		return;
	tables->used = tables->capacity / 2;
	tables->limit = tables->list[tables->used].offset;
}

static void add_table(struct tables *tables, uint64_t offset, uint32_t index,
		      bool active)
{
	if (offset < tables->first || offset >= tables->limit)
		return;
	if (tables->used == tables->capacity)
		shrink(tables);
	if (offset >= tables->limit)
		return;
	tables->list[tables->used++] = (struct table){
		.offset = offset,
		.references = 1,
		.active = active,
		.index = index,
	};
}

static int collect_piece(struct check *check, const struct root *root,
			 uint32_t index, uint8_t *entries, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		uint64_t offset = load_be64(entries + i * 8) & ENTRY_OFFSET;

		if (offset && is_aligned(offset, check_cluster_size(check)) &&
		    check_is_inside(check, offset, check_cluster_size(check)))
			add_table(&check->tables, offset, index + i,
				  root->kind == ROOT_ACTIVE);
	}
	return 0;
}

static int collect(struct check *check, uint64_t first)
{
	int ret;

	check->tables.used = 0;
	check->tables.first = first;
	check->tables.limit = UINT64_MAX;
	ret = check_each_root(check, ROOT_ACTIVE, ROOT_SNAPSHOT, collect_piece);
	merge(&check->tables);
	return ret;
}

/* ---- L2 tables ---- */

static int read_table(struct check *check, const struct table *table,
		      table_function *function)
{
	uint64_t size = check_cluster_size(check);
	int ret;

	if (is_hole(check, table->offset, size))
		return 0;
	ret = file_read(check->file, check->table, table->offset, size);
	if (ret) {
		check_failed(check,
			     "cannot read the L2 table at offset %#llx: %s",
			     (unsigned long long)table->offset, strerror(-ret));
		return 0;
	}
	return function(check, table);
}

static void tell_progress(struct check *check, uint32_t nr)
{
	uint64_t first = min_u64(check->counts.first, check->clusters);
	uint64_t limit = min_u64(check->counts.limit, check->clusters);

	check_progress(check,
		       first + (limit - first) * (double)nr /
				       check->tables.used,
		       check->clusters);
}

static int walk_tables(struct check *check, table_function *function)
{
	int ret = 0;

	for (uint32_t i = 0; i < check->tables.used && !ret; i++) {
		tell_progress(check, i);
		ret = read_table(check, &check->tables.list[i], function);
	}
	return ret;
}

int check_each_table(struct check *check, table_function *function)
{
	uint64_t first = 0;
	int ret = 0;

	while (first != UINT64_MAX && !ret) {
		ret = collect(check, first);
		if (!ret)
			ret = walk_tables(check, function);
		first = check->tables.limit;
	}
	return ret;
}

int check_write_table(struct check *check, const struct table *table)
{
	return file_write(check->file, check->table, table->offset,
			  check_cluster_size(check));
}
