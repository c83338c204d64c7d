// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Where the walk begins: the L1 table of the disk, those of the internal
 * snapshots, the tables of the bitmaps; and the runs of clusters that the
 * lists of these and the encryption header lie in.
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
#include "qcow/check/check.h"

#define MAX_LUKS (64u << 20) /* more than any header of it takes */

/* A run of bytes in the middle of a file that wants aligned I/O. */
int check_read_bytes(struct check *check, void *bytes, uint64_t offset,
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

void check_drop(struct check *check, const char *what, uint32_t number,
		const char *why)
{
	check->incomplete = true;
	check_corrupt(check, "ERROR %s %u: %s", what, number, why);
}

const char *check_judge_root(const struct check *check, uint64_t offset,
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

static const char *kind_name(enum root_kind kind)
{
	return kind == ROOT_BITMAP ? "bitmap" : "snapshot";
}

int check_add_root(struct check *check, enum root_kind kind, uint32_t number,
		   uint64_t offset, uint32_t entries)
{
	const char *why = check_judge_root(check, offset, entries);
	int ret = make_room(check);

	if (ret)
		return ret;
	if (why) {
		check_drop(check, kind_name(kind), number, why);
		/* Bitmaps are given up. */
		return kind == ROOT_BITMAP ?
			       0 :
			       check_lose_area(check, offset, entries * 8ull);
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

struct area *check_add_area(struct check *check, uint64_t offset,
			    uint64_t length)
{
	struct area *area = &check->areas[check->nr_areas++];

	*area = (struct area){
		.offset = offset,
		.length = length,
	};
	return area;
}

/* LUKS cannot do without it: without this header, the key is lost. */
static int find_encryption(struct check *check, const uint8_t *extension,
			   uint32_t length)
{
	uint64_t offset, size;

	if (length < 16) {
		check_drop(check, "encryption header", 0,
			   "its extension is malformed");
		return 0;
	}
	offset = load_be64(extension);
	size = load_be64(extension + 8);
	if (!size || check_judge_root(check, offset, div_round_up(size, 8))) {
		check_drop(check, "encryption header", 0,
			   "not cluster aligned, or not in the file");
		return check_lose_area(check, offset, min_u64(size, MAX_LUKS));
	}
	check_add_area(check, offset, size);
	return 0;
}

static int find_in_extensions(struct check *check)
{
	const struct header *h = &check->header;
	uint32_t at = h->length, type, length;
	bool bitmaps = false, encryption = false;
	const uint8_t *data;
	int ret = 0;

	while (!ret && header_next_extension(h, &check->header_area, &at, &type,
					     &length, &data)) {
		/* Without its bit the extension is of the past. */
		if (type == EXTENSION_BITMAPS && !bitmaps &&
		    h->autoclear & AUTOCLEAR_BITMAPS) {
			bitmaps = true;
			ret = check_find_bitmaps(check, data, length);
		}
		if (type == EXTENSION_ENCRYPTION && !encryption) {
			encryption = true;
			ret = find_encryption(check, data, length);
		}
	}
	if (h->crypt_method == CRYPT_LUKS && !encryption)
		check_drop(check, "encryption header", 0,
			   "its extension is missing");
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

	if (!check->nr_roots)
		return;
	qsort(check->roots, check->nr_roots, sizeof(*check->roots),
	      compare_roots);
	for (uint32_t i = 0; i < check->nr_roots; i++) {
		const struct root *root = &check->roots[i];

		if (root->offset < end && root->kind != ROOT_ACTIVE) {
			check->bitmaps_broken |= root->kind == ROOT_BITMAP;
			check_drop(check, kind_name(root->kind), root->number,
				   "its table overlaps another's");
			continue;
		}
		end = max_u64(end, root->offset + root->entries * 8ull);
		check->roots[kept++] = *root;
	}
	check->nr_roots = kept;
}

/* Without its L1 table nobody knows to which clusters the disk refers. */
static int find_active(struct check *check)
{
	const struct header *h = &check->header;
	struct qcow_error why;

	if (!header_judge_l1(check->file, h, &why))
		return check_add_root(check, ROOT_ACTIVE, 0, h->l1_offset,
				      h->l1_size);
	check->incomplete = true;
	check->headless = true;
	check_corrupt(check, "ERROR %s", why.text);
	return 0;
}

int check_find_roots(struct check *check)
{
	int ret;

	check->nr_roots = 0;
	check->nr_lost = 0;
	check->nr_areas = 0;
	check->bitmaps_broken = false;
	check_add_area(check, 0, check_cluster_size(check));
	ret = find_active(check);
	if (!ret)
		ret = check_find_snapshots(check);
	if (!ret)
		ret = find_in_extensions(check);
	if (!ret)
		drop_overlapping(check);
	return ret;
}
