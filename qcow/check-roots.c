// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Where the walk begins: the L1 table of the disk, those of the internal
 * snapshots, the tables of the bitmaps; and the runs of clusters that these
 * lists themselves and the encryption header lie in.
 *
 *	header -> snapshot table -> entry: L1 table's offset and size
 *	header -> bitmaps extension -> directory -> entry: table's ...
 *
 * The entries of both lists differ in length, and each tells its own.  They
 * are read one by one: a list of 64 MiB costs no memory.  The limits are
 * QEMU's.
 *
 * Roots that overlap are corrupt, and walking them all could take for ever:
 * 65536 snapshots may claim the same 32 MiB.  The later one is dropped, and
 * the walk is incomplete.  So all roots together are no larger than the file.
 */
#include <errno.h>
#include <stdlib.h>
#include "check.h"

#define MAX_SNAPSHOTS		65536u
#define MAX_BITMAPS		65535u
#define MAX_LIST_BYTES		(64u << 20)
#define MAX_BITMAP_ENTRIES	0x8000000u

#define SNAPSHOT_HEAD		40u	/* bytes before the variable part */
#define SNAPSHOT_EXTRA_MIN	16u
#define SNAPSHOT_EXTRA_MAX	1024u
#define BITMAP_HEAD		24u
#define BITMAPS_EXTENSION	24u

/* A run of bytes in the middle of a file that wants aligned I/O. */
static int read_bytes(struct check *check, void *bytes, uint64_t offset,
		      uint32_t length)
{
	uint64_t unit = check->file->alignment;
	uint64_t start = round_down(offset, unit);
	uint64_t size = round_up(offset + length, unit) - start;
	uint8_t *buffer = file_buffer(size);
	int ret;

	if (!buffer)
		return -ENOMEM;
	ret = file_read(check->file, buffer, start, size);
	if (!ret)
		memcpy(bytes, buffer + (offset - start), length);
	free(buffer);
	return ret;
}

/* Something is there that cannot be walked. */
static void drop(struct check *check, const char *what, uint32_t number,
		 const char *why)
{
	check->incomplete = true;
	check_corrupt(check, "ERROR %s %u: %s", what, number, why);
}

static const char *judge_root(const struct check *check, uint64_t offset,
			      uint64_t entries)
{
	if (!is_aligned(offset, check_cluster_size(check)))
		return "its table is not cluster aligned";
	if (!check_is_inside(check, offset, entries * 8))
		return "its table lies beyond the end of the file";
	return NULL;
}

static int make_room(struct check *check)
{
	uint32_t max = check->max_roots ? 2 * check->max_roots : 16;
	struct root *roots;

	if (check->nr_roots < check->max_roots)
		return 0;
	roots = reallocarray(check->roots, max, sizeof(*roots));
	if (!roots)
		return -ENOMEM;
	check->roots = roots;
	check->max_roots = max;
	return 0;
}

static int add_root(struct check *check, enum root_kind kind, uint32_t number,
		    uint64_t offset, uint32_t entries)
{
	const char *what = kind == ROOT_BITMAP ? "bitmap" : "snapshot";
	const char *why = judge_root(check, offset, entries);
	int ret = make_room(check);

	if (ret)
		return ret;
	if (why) {
		drop(check, what, number, why);
		return 0;
	}
	if (!entries)
		return 0;
	check->roots[check->nr_roots++] = (struct root){
		.kind = kind,
		.number = number,
		.entries = entries,
		.offset = offset,
	};
	return 0;
}

static void add_area(struct check *check, const char *name, uint64_t offset,
		     uint64_t length)
{
	check->areas[check->nr_areas++] = (struct area){
		.name = name,
		.offset = offset,
		.length = length,
	};
}

/* ---- snapshots ---- */

/* Version 3 wants the large size of the VM's state, and the disk's size. */
static void judge_extra(struct check *check, uint32_t number, uint32_t length)
{
	if (check->header.version >= 3 && length < SNAPSHOT_EXTRA_MIN)
		check_corrupt(check, "ERROR snapshot table entry %u is incomplete",
			      number);
	if (length > SNAPSHOT_EXTRA_MAX)
		check_corrupt(check,
			      "ERROR snapshot table entry %u has too much extra data",
			      number);
}

/* One entry at *offset, which moves on to the next. */
static int read_snapshot(struct check *check, uint32_t number,
			 uint64_t *offset)
{
	uint8_t head[SNAPSHOT_HEAD];
	int ret = read_bytes(check, head, *offset, sizeof(head));
	uint32_t entries;

	if (ret)
		return ret;
	*offset += SNAPSHOT_HEAD + load_be32(head + 36) + /* extra data, */
		   (head[12] << 8 | head[13]) +		  /* id, */
		   (head[14] << 8 | head[15]);		  /* name */
	judge_extra(check, number, load_be32(head + 36));
	entries = load_be32(head + 8);
	if (entries > MAX_L1_BYTES / 8) {
		drop(check, "snapshot", number, "its L1 table is too large");
		return 0;
	}
	return add_root(check, ROOT_SNAPSHOT, number, load_be64(head),
			entries);
}

static bool list_goes_on(const struct check *check, uint64_t start,
			 uint64_t end)
{
	return end - start <= MAX_LIST_BYTES &&
	       check_is_inside(check, start, end - start);
}

static int find_snapshots(struct check *check)
{
	const struct header *h = &check->header;
	uint64_t offset = h->snapshots_offset;
	uint32_t i;

	if (!h->nb_snapshots)
		return 0;
	if (h->nb_snapshots > MAX_SNAPSHOTS ||
	    judge_root(check, offset, SNAPSHOT_HEAD / 8)) {
		drop(check, "snapshot table", 0,
		     "too many snapshots, or not in the file");
		return 0;
	}
	if (check_has_data_file(check))
		check_corrupt(check,
			      "ERROR %u snapshots in an image with a data file",
			      h->nb_snapshots);
	for (i = 0; i < h->nb_snapshots; i++) {
		int ret;

		offset = round_up(offset, 8);
		if (!list_goes_on(check, h->snapshots_offset,
				  offset + SNAPSHOT_HEAD)) {
			drop(check, "snapshot", i, "its entry is not in the file");
			return 0;
		}
		ret = read_snapshot(check, i, &offset);
		if (ret)
			return ret;
	}
	if (!list_goes_on(check, h->snapshots_offset, offset)) {
		drop(check, "snapshot", i - 1, "its entry is cut off");
		return 0;
	}
	add_area(check, "snapshot table", h->snapshots_offset,
		 offset - h->snapshots_offset);
	return 0;
}

/* ---- bitmaps ---- */

static int read_bitmap(struct check *check, uint32_t number, uint64_t *offset)
{
	uint8_t head[BITMAP_HEAD];
	int ret = read_bytes(check, head, *offset, sizeof(head));
	uint32_t entries;

	if (ret)
		return ret;
	*offset += BITMAP_HEAD + (head[18] << 8 | head[19]) + /* name, */
		   load_be32(head + 20);		      /* extra data */
	*offset = round_up(*offset, 8);
	entries = load_be32(head + 8);
	if (entries > MAX_BITMAP_ENTRIES) {
		drop(check, "bitmap", number, "its table is too large");
		return 0;
	}
	return add_root(check, ROOT_BITMAP, number, load_be64(head), entries);
}

static int find_bitmaps(struct check *check, const uint8_t *extension,
			uint32_t length)
{
	uint32_t count = load_be32(extension);
	uint64_t size = load_be64(extension + 8);
	uint64_t start = load_be64(extension + 16), offset = start;

	if (length != BITMAPS_EXTENSION || count > MAX_BITMAPS ||
	    size > MAX_LIST_BYTES ||
	    judge_root(check, start, size / 8)) {
		drop(check, "bitmap directory", 0,
		     "malformed, too many bitmaps, or not in the file");
		return 0;
	}
	add_area(check, "bitmap directory", start, size);
	for (uint32_t i = 0; i < count; i++) {
		int ret;

		if (offset - start + BITMAP_HEAD > size) {
			drop(check, "bitmap", i,
			     "its entry is beyond the directory");
			return 0;
		}
		ret = read_bitmap(check, i, &offset);
		if (ret)
			return ret;
	}
	if (offset - start != size)
		drop(check, "bitmap directory", 0,
		     "its length is not that of its entries");
	return 0;
}

/* ---- all ---- */

static int find_in_extensions(struct check *check)
{
	const struct header *h = &check->header;
	uint32_t at = h->length, type, length;
	bool bitmaps = false, encryption = false;
	const uint8_t *data;
	int ret = 0;

	while (!ret && header_next_extension(h, &check->header_area, &at,
					     &type, &length, &data)) {
		/* Without its bit the extension is of the past. */
		if (type == EXTENSION_BITMAPS && !bitmaps &&
		    length >= BITMAPS_EXTENSION &&
		    h->autoclear & AUTOCLEAR_BITMAPS) {
			bitmaps = true;
			ret = find_bitmaps(check, data, length);
		}
		if (type == EXTENSION_ENCRYPTION && length >= 16 &&
		    !encryption) {
			encryption = true;
			add_area(check, "encryption header", load_be64(data),
				 load_be64(data + 8));
		}
	}
	return ret;
}

static int compare_roots(const void *a, const void *b)
{
	const struct root *x = a, *y = b;

	if (x->offset != y->offset)
		return x->offset < y->offset ? -1 : 1;
	/* The disk's own comes first: it is the one to be kept. */
	return x->kind < y->kind ? -1 : x->kind > y->kind;
}

static void drop_overlapping(struct check *check)
{
	uint32_t kept = 0;
	uint64_t end = 0;

	qsort(check->roots, check->nr_roots, sizeof(*check->roots),
	      compare_roots);
	for (uint32_t i = 0; i < check->nr_roots; i++) {
		const struct root *root = &check->roots[i];

		if (root->offset < end && root->kind != ROOT_ACTIVE) {
			drop(check, root->kind == ROOT_BITMAP ? "bitmap" :
								"snapshot",
			     root->number, "its table overlaps another's");
			continue;
		}
		end = max_u64(end, root->offset + root->entries * 8ull);
		check->roots[kept++] = *root;
	}
	check->nr_roots = kept;
}

int check_find_roots(struct check *check)
{
	const struct header *h = &check->header;
	int ret;

	check->nr_roots = 0;
	check->nr_areas = 0;
	add_area(check, "header", 0, check_cluster_size(check));
	ret = add_root(check, ROOT_ACTIVE, 0, h->l1_offset, h->l1_size);
	if (!ret)
		ret = find_snapshots(check);
	if (!ret)
		ret = find_in_extensions(check);
	if (!ret)
		drop_overlapping(check);
	return ret;
}
