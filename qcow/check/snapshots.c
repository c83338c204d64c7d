// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The table of internal snapshots, and a new one in place of one that no
 * reader would take:
 *
 *	too little extra data	version 3 wants the large size of the VM's
 *				state and the size of the disk: both are told
 *	too much extra data	is cut
 *	too many snapshots,	those beyond the limit are dropped
 *	or too large a table
 *
 * The new table is laid behind all that is in use, counted like any other,
 * and named by the header when it and its counts are durable; that is one
 * sector.  The clusters of the old one are leaks then.
 *
 * The check tells of a snapshot with an impossible L1 table, but the snapshot
 * stays in the table as it is: its name and date may be all that is left of it.
 *
 * The lengths in an entry tell its end.  If one of them is wrong, the next
 * entry is read from the wrong place.  A new table made of such entries would
 * lose the later snapshots.  So a table with too much of something is mended
 * only if all its entries look like entries.
 */
#include <errno.h>
#include <stdlib.h>
#include "qcow/check/check.h"

#define MAX_SNAPSHOTS	65536u
#define MAX_TABLE_BYTES (64u << 20)

/* An entry's first bytes; then extra data, id and name; padded to 8. */
#define HEAD		    40u
#define HEAD_L1_OFFSET	    0
#define HEAD_L1_SIZE	    8
#define HEAD_ID_LENGTH	    12 /* 16 bits, like the name's */
#define HEAD_NAME_LENGTH    14
#define HEAD_VM_STATE_SIZE  32
#define HEAD_EXTRA_LENGTH   36
#define EXTRA_VM_STATE_SIZE 0
#define EXTRA_DISK_SIZE	    8
#define EXTRA_MIN	    16u
#define EXTRA_MAX	    1024u
#define MAX_ENTRY	    (HEAD + EXTRA_MAX + 2 * 0xffffull + 8)

struct entry {
	uint8_t head[HEAD];
	uint64_t offset;       /* of the entry */
	uint32_t extra, names; /* bytes */
	uint64_t end;
};

static int read_entry(struct check *check, uint64_t offset, struct entry *e)
{
	int ret = check_read_bytes(check, e->head, offset, HEAD);

	e->offset = offset;
	e->extra = load_be32(e->head + HEAD_EXTRA_LENGTH);
	e->names = (e->head[HEAD_ID_LENGTH] << 8 |
		    e->head[HEAD_ID_LENGTH + 1]) +
		   (e->head[HEAD_NAME_LENGTH] << 8 |
		    e->head[HEAD_NAME_LENGTH + 1]);
	e->end = offset + HEAD + e->extra + e->names;
	return ret;
}

/* ---- reading ---- */

/* The size that the extra data must have. */
static uint32_t good_extra(const struct check *check, const struct entry *e)
{
	if (check->header.version >= 3 && e->extra < EXTRA_MIN)
		return EXTRA_MIN;
	return min_u64(e->extra, EXTRA_MAX);
}

static void judge_extra(struct check *check, uint32_t number,
			const struct entry *e)
{
	uint32_t good = good_extra(check, e);

	if (good == e->extra)
		return;
	check->snapshots.mendable = true;
	check->snapshots.stretched |= good < e->extra;
	check_corrupt(check, "ERROR snapshot table entry %u %s", number,
		      good > e->extra ? "is incomplete" :
					"has too much extra data");
}

/* Does it have an id that can be read, as QEMU gives one to each? */
static int judge_id(struct check *check, const struct entry *e)
{
	uint32_t length = e->head[HEAD_ID_LENGTH] << 8 |
			  e->head[HEAD_ID_LENGTH + 1];
	uint8_t id[64];
	int ret;

	length = min_u64(length, sizeof(id));
	ret = check_read_bytes(check, id, e->offset + HEAD + e->extra, length);
	for (uint32_t i = 0; i < length && !ret; i++)
		if (id[i] <= ' ' || id[i] > '~')
			length = 0;
	check->snapshots.suspect |= !length;
	return ret;
}

static int note_entry(struct check *check, uint32_t number,
		      const struct entry *e)
{
	uint32_t entries = load_be32(e->head + HEAD_L1_SIZE);
	int ret = judge_id(check, e);

	if (ret)
		return ret;
	judge_extra(check, number, e);
	if (entries > MAX_L1_BYTES / 8) {
		check_drop(check, "snapshot", number,
			   "its L1 table is too large");
		return 0;
	}
	return check_add_root(check, ROOT_SNAPSHOT, number,
			      load_be64(e->head + HEAD_L1_OFFSET), entries);
}

/* The entries from number on are beyond the limit, and nobody can use them. */
static void drop_rest(struct check *check, uint32_t number)
{
	check->snapshots.mendable = true;
	check->snapshots.stretched = true;
	check_drop(check, "snapshot", number,
		   "it and those behind it are more than a table can hold");
}

static bool goes_on(const struct check *check, uint64_t end)
{
	uint64_t start = check->header.snapshots_offset;

	return check_is_inside(check, start, end - start);
}

/* Of the rest of the table, which begins in this place, no more is known. */
static int lose_rest(struct check *check, uint64_t start)
{
	uint64_t rest = check->header.nb_snapshots - check->snapshots.kept;

	return check_lose_area(check, start,
			       min_u64(rest * MAX_ENTRY, MAX_TABLE_BYTES));
}

static int lose_table(struct check *check)
{
	check->snapshots.mendable = false;
	check->snapshots.lost = true;
	check_drop(check, "snapshot", check->snapshots.kept,
		   "its entry is not in the file");
	return lose_rest(check, round_up(check->snapshots.end, 8));
}

/* Notes how many entries can stay, and where they end. */
static int read_table(struct check *check)
{
	struct snapshots *s = &check->snapshots;
	uint32_t count = check->header.nb_snapshots;
	struct entry e;

	for (s->kept = 0; s->kept < count; s->kept++) {
		uint64_t at = round_up(s->end, 8);
		int ret;

		if (!goes_on(check, at + HEAD))
			return lose_table(check);
		ret = read_entry(check, at, &e);
		if (ret)
			return ret;
		if (!goes_on(check, e.end))
			return lose_table(check);
		if (s->kept == MAX_SNAPSHOTS ||
		    e.end - check->header.snapshots_offset > MAX_TABLE_BYTES) {
			drop_rest(check, s->kept);
			return 0;
		}
		ret = note_entry(check, s->kept, &e);
		if (ret)
			return ret;
		s->end = e.end;
	}
	return 0;
}

/* QEMU looks at its place, too, and does not open the image. */
static int judge_no_table(struct check *check)
{
	uint64_t offset = check->header.snapshots_offset;

	check->snapshots.mendable = offset > INT64_MAX ||
				    !is_aligned(offset,
						check_cluster_size(check));
	if (check->snapshots.mendable)
		check_corrupt(check, "ERROR no snapshots, in a wrong place");
	return 0;
}

int check_find_snapshots(struct check *check)
{
	const struct header *h = &check->header;
	struct snapshots *s = &check->snapshots;
	int ret;

	*s = (struct snapshots){ .end = h->snapshots_offset };
	if (!h->nb_snapshots)
		return judge_no_table(check);
	if (check_judge_root(check, h->snapshots_offset, HEAD / 8)) {
		check_drop(check, "snapshot table", 0, "it is not in the file");
		return lose_rest(check, h->snapshots_offset);
	}
	if (check_has_data_file(check))
		check_corrupt(check,
			      "ERROR %u snapshots in an image with a data file",
			      h->nb_snapshots);
	ret = read_table(check);
	if (s->stretched && s->suspect) {
		s->mendable = false;
		check_drop(check, "snapshot table", 0,
			   "some of its entries do not look like entries");
	}
	if (!ret && !s->lost)
		s->area = check_add_area(check, h->snapshots_offset,
					 s->end - h->snapshots_offset);
	return ret;
}

/* ---- a new table ---- */

/* Bytes on their way to the file, one after the other. */
struct stream {
	struct check *check;
	uint8_t *buffer;
	uint64_t offset; /* of the buffer, in the file */
	uint32_t used, size;
};

static int flush(struct stream *stream)
{
	int ret = file_write(stream->check->file, stream->buffer,
			     stream->offset, stream->size);

	stream->offset += stream->size;
	stream->used = 0;
	memset(stream->buffer, 0, stream->size);
	return ret;
}

static int put(struct stream *stream, const void *bytes, uint32_t length)
{
	const uint8_t *from = bytes;

	while (length) {
		uint32_t n = min_u64(length, stream->size - stream->used);
		int ret = 0;

		memcpy(stream->buffer + stream->used, from, n);
		stream->used += n;
		from += n;
		length -= n;
		if (stream->used == stream->size)
			ret = flush(stream);
		if (ret)
			return ret;
	}
	return 0;
}

static void complete_extra(const struct check *check, const struct entry *e,
			   uint8_t *extra)
{
	if (e->extra < EXTRA_DISK_SIZE)
		store_be64(extra + EXTRA_VM_STATE_SIZE,
			   load_be32(e->head + HEAD_VM_STATE_SIZE));
	if (e->extra < EXTRA_MIN)
		store_be64(extra + EXTRA_DISK_SIZE, check->header.size);
}

static int put_names(struct stream *stream, const struct entry *e)
{
	uint8_t *names = malloc(e->names + 1);
	int ret = names ? 0 : -ENOMEM;

	if (!ret)
		ret = check_read_bytes(stream->check, names,
				       e->offset + HEAD + e->extra, e->names);
	if (!ret)
		ret = put(stream, names, e->names);
	free(names);
	return ret;
}

static int put_entry(struct stream *stream, struct entry *e)
{
	static const uint8_t padding[8];
	const struct check *check = stream->check;
	uint32_t good = good_extra(check, e);
	uint8_t extra[EXTRA_MAX] = { 0 };
	int ret = check_read_bytes(stream->check, extra, e->offset + HEAD,
				   min_u64(e->extra, good));

	if (good > e->extra)
		complete_extra(check, e, extra);
	store_be32(e->head + HEAD_EXTRA_LENGTH, good);
	if (!ret)
		ret = put(stream, e->head, HEAD);
	if (!ret)
		ret = put(stream, extra, good);
	if (!ret)
		ret = put_names(stream, e);
	if (!ret)
		ret = put(stream, padding, -(HEAD + good + e->names) % 8);
	return ret;
}

static int put_entries(struct stream *stream)
{
	const struct snapshots *s = &stream->check->snapshots;
	uint64_t at = stream->check->header.snapshots_offset;

	for (uint32_t i = 0; i < s->kept; i++) {
		struct entry e;
		int ret = read_entry(stream->check, at, &e);

		if (!ret)
			ret = put_entry(stream, &e);
		if (ret)
			return ret;
		at = round_up(e.end, 8);
	}
	return 0;
}

/* At most: each entry grows by as much as it may lack. */
static uint64_t clusters_needed(const struct check *check)
{
	const struct snapshots *s = &check->snapshots;

	return div_round_up(s->end - check->header.snapshots_offset +
				    s->kept * (EXTRA_MIN + 8ull),
			    check_cluster_size(check));
}

static int write_table(struct check *check, uint64_t first)
{
	struct snapshots *s = &check->snapshots;
	uint32_t bits = check->header.cluster_bits;
	struct stream stream = {
		.check = check,
		.offset = first << bits,
		.size = check_cluster_size(check),
		.buffer = file_buffer(check_cluster_size(check)),
	};
	int ret = stream.buffer ? 0 : -ENOMEM;

	if (!ret) {
		memset(stream.buffer, 0, stream.size);
		ret = put_entries(&stream);
	}
	s->new_offset = first << bits;
	s->new_length = stream.offset + stream.used - s->new_offset;
	if (!ret && stream.used)
		ret = flush(&stream);
	free(stream.buffer);
	if (ret)
		return ret;
	check_take_space(check, first,
			 div_round_up(s->new_length, 1ull << bits));
	check_add_area(check, s->new_offset, s->new_length);
	return 0;
}

int check_make_snapshots(struct check *check)
{
	uint64_t first;
	int ret;

	if (!check->header.nb_snapshots)
		return 0;
	ret = check_find_space(check, clusters_needed(check), &first);
	return ret ? ret : write_table(check, first);
}

int check_link_snapshots(struct check *check)
{
	struct header *h = &check->header;

	h->nb_snapshots = check->snapshots.kept;
	h->snapshots_offset = check->snapshots.new_offset;
	/* Nobody refers to the old one any more. */
	if (check->snapshots.area)
		check->snapshots.area->length = 0;
	return header_write_snapshots(check->file, h, &check->header_area);
}
