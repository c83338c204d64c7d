// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The directory of persistent bitmaps, as the check sees it.  It is judged as
 * strictly as QEMU does when it opens an image: an entry that QEMU does not
 * accept keeps QEMU from opening the image at all.
 *
 * A repair of everything gives such bitmaps up, all of them: their extension
 * becomes one that means nothing, and its clusters are free.  Only the
 * knowledge of the changes since a backup is lost.
 */
#include "qcow/check/check.h"

#define MAX_BITMAPS	     65535u
#define MAX_DIRECTORY	     (64u << 20)
#define MAX_BITMAP_ENTRIES   0x8000000u
#define MAX_BITMAP_BYTES     (512u << 20)
#define MAX_NAME	     1023u
#define MIN_GRANULARITY_BITS 9
#define MAX_GRANULARITY_BITS 31
#define DIRTY_TRACKING	     1 /* the only type */
#define FLAG_IN_USE	     1u
#define FLAGS_RESERVED	     0xfffffffcu

#define BITMAP_HEAD	  24u
#define BITMAPS_EXTENSION 24u

/* An entry of the directory, without its name. */
struct entry {
	uint64_t table; /* offset */
	uint32_t table_entries;
	uint32_t flags;
	unsigned int type, granularity_bits;
	uint32_t name_length, extra_length;
};

static void drop(struct check *check, const char *what, uint32_t number,
		 const char *why)
{
	check->bitmaps_broken = true;
	check_drop(check, what, number, why);
}

static struct entry decode(const uint8_t head[BITMAP_HEAD])
{
	return (struct entry){
		.table = load_be64(head),
		.table_entries = load_be32(head + 8),
		.flags = load_be32(head + 12),
		.type = head[16],
		.granularity_bits = head[17],
		.name_length = head[18] << 8 | head[19],
		.extra_length = load_be32(head + 20),
	};
}

/* Of the bitmap itself. */
static uint64_t bitmap_bytes(const struct check *check, const struct entry *e)
{
	return (uint64_t)e->table_entries << check->header.cluster_bits;
}

/* QEMU loads those that are not in use, and takes neither one that is too short
   for the disk nor one that is too long. */
static bool fits(const struct check *check, const struct entry *e)
{
	uint64_t size = round_down(check->header.size, QCOW_SECTOR);
	uint64_t bits = div_round_up(size, 1ull << e->granularity_bits);

	return e->flags & FLAG_IN_USE ||
	       div_round_up(bits, 8 * check_cluster_size(check)) ==
		       e->table_entries;
}

static const char *judge(const struct check *check, const struct entry *e)
{
	if (!e->table_entries || !e->table)
		return "it has no table";
	if (e->table_entries > MAX_BITMAP_ENTRIES ||
	    bitmap_bytes(check, e) > MAX_BITMAP_BYTES)
		return "its table is too large";
	if (e->type != DIRTY_TRACKING)
		return "its type is unknown";
	if (e->granularity_bits < MIN_GRANULARITY_BITS ||
	    e->granularity_bits > MAX_GRANULARITY_BITS)
		return "its granularity cannot be";
	if (e->flags & FLAGS_RESERVED)
		return "it has reserved flags set";
	if (!e->name_length || e->name_length > MAX_NAME)
		return "its name has no length that can be";
	if (e->extra_length)
		return "it has extra data";
	if (!fits(check, e))
		return "its size does not fit the disk's";
	return check_judge_root(check, e->table, e->table_entries);
}

static int read_entry(struct check *check, uint32_t number, uint64_t *offset)
{
	uint8_t head[BITMAP_HEAD];
	int ret = check_read_bytes(check, head, *offset, sizeof(head));
	struct entry e;
	const char *why;

	if (ret)
		return ret;
	e = decode(head);
	*offset = round_up(
		*offset + BITMAP_HEAD + e.name_length + e.extra_length, 8);
	why = judge(check, &e);
	if (why) {
		drop(check, "bitmap", number, why);
		return 0;
	}
	return check_add_root(check, ROOT_BITMAP, number, e.table,
			      e.table_entries);
}

static int read_directory(struct check *check, uint32_t count, uint64_t start,
			  uint64_t size)
{
	uint64_t offset = start;

	for (uint32_t i = 0; i < count; i++) {
		int ret;

		if (offset - start + BITMAP_HEAD > size) {
			drop(check, "bitmap", i,
			     "its entry is beyond the directory");
			return 0;
		}
		ret = read_entry(check, i, &offset);
		if (ret)
			return ret;
	}
	if (offset - start != size)
		drop(check, "bitmap directory", 0,
		     "its length is not that of its entries");
	return 0;
}

int check_find_bitmaps(struct check *check, const uint8_t *extension,
		       uint32_t length)
{
	uint32_t count;
	uint64_t size, start;

	if (length != BITMAPS_EXTENSION) {
		drop(check, "bitmap directory", 0,
		     "its extension is malformed");
		return 0;
	}
	count = load_be32(extension);
	size = load_be64(extension + 8);
	start = load_be64(extension + 16);
	if (!count || count > MAX_BITMAPS || load_be32(extension + 4) ||
	    size > MAX_DIRECTORY || check_judge_root(check, start, size / 8)) {
		drop(check, "bitmap directory", 0,
		     "malformed, too many bitmaps, or not in the file");
		return 0;
	}
	check_add_area(check, start, size);
	return read_directory(check, count, start, size);
}
