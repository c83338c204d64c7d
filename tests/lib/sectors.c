// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A sector is found as the format says: L1, L2, and the entry.  A compressed
 * cluster is a raw deflate stream; the last one that was unpacked is kept, for
 * sectors are read in order.
 */
#include <endian.h>
#include <string.h>
#include <zlib.h>
#include "tests/lib/sectors.h"

#define SECTOR	   512u
#define WINDOW	   (-12) /* of deflate, without a header */
#define OFFSET	   0x00fffffffffffe00ull
#define COMPRESSED (1ull << 62)
#define ZERO	   1ull

static uint64_t be64(const struct sectors *s, uint64_t at)
{
	uint64_t n = 0;

	if (at < s->size && s->size - at >= sizeof(n))
		memcpy(&n, s->bytes + at, sizeof(n));
	return be64toh(n);
}

static uint32_t be32(const struct sectors *s, uint64_t at)
{
	uint32_t n = 0;

	if (at < s->size && s->size - at >= sizeof(n))
		memcpy(&n, s->bytes + at, sizeof(n));
	return be32toh(n);
}

void sectors_open(struct sectors *s, const uint8_t *bytes, size_t size)
{
	s->bytes = bytes;
	s->size = size;
	s->under = NULL;
	s->under_size = 0;
	s->packed = 0;
	s->cluster_bits = be32(s, 20);
	s->extended = be32(s, 4) >= 3 && be64(s, 72) & 16;
	s->l2_bits = s->cluster_bits - 3 - s->extended;
	s->l1 = be64(s, 40);
}

void sectors_choose_snapshot(struct sectors *s)
{
	s->l1 = be64(s, be64(s, 64));
}

void sectors_look_up(const struct sectors *s, uint64_t guest,
		     struct sectors_entry *entry)
{
	uint64_t in_table = guest & ((1ull << s->l2_bits) - 1);
	uint64_t at;

	*entry = (struct sectors_entry){
		.l1 = be64(s, s->l1 + (guest >> s->l2_bits) * 8),
	};
	if (!(entry->l1 & OFFSET))
		return;
	at = (entry->l1 & OFFSET) + (in_table << s->extended) * 8;
	entry->l2 = be64(s, at);
	entry->bitmap = s->extended ? be64(s, at + 8) : 0;
}

static bool inflate_all(const uint8_t *from, size_t length, uint8_t *to,
			size_t size)
{
	z_stream stream = {
		.next_in = (Bytef *)from,
		.avail_in = length,
		.next_out = to,
		.avail_out = size,
	};
	int ret;

	if (inflateInit2(&stream, WINDOW) != Z_OK)
		return false;
	ret = inflate(&stream, Z_FINISH);
	inflateEnd(&stream);
	return !stream.avail_out && (ret == Z_STREAM_END || ret == Z_BUF_ERROR);
}

static bool unpack(struct sectors *s, uint64_t entry)
{
	uint32_t count_bits = s->cluster_bits - 8;
	uint32_t shift = 62 - count_bits;
	uint64_t offset = entry & ((1ull << shift) - 1);
	uint64_t count = (entry >> shift & ((1u << count_bits) - 1)) + 1;
	uint64_t length = count * SECTOR - offset % SECTOR;

	if (s->packed == entry)
		return true;
	if (offset >= s->size || 1u << s->cluster_bits > sizeof(s->unpacked))
		return false;
	if (length > s->size - offset)
		length = s->size - offset;
	s->packed = 0;
	if (!inflate_all(s->bytes + offset, length, s->unpacked,
			 1u << s->cluster_bits))
		return false;
	s->packed = entry;
	return true;
}

/* The file under the image shows, and zeros behind its end. */
static void read_under(const struct sectors *s, uint64_t offset, uint8_t *bytes)
{
	if (offset < s->under_size)
		memcpy(bytes, s->under + offset, SECTOR);
}

/* Data, or zeros behind the end of the file. */
static void read_data(const struct sectors *s, uint64_t at, uint8_t *bytes)
{
	if (at >= s->size)
		return;
	memcpy(bytes, s->bytes + at,
	       s->size - at < SECTOR ? s->size - at : SECTOR);
}

/* Of an entry with subclusters: does it have the sector's bytes?  Returns
   false if it cannot be. */
static bool look_at_bitmap(const struct sectors *s, uint64_t offset,
			   const struct sectors_entry *entry, bool *data,
			   bool *zero)
{
	unsigned int sub = offset >> (s->cluster_bits - 5) & 31;

	*data = entry->bitmap >> sub & 1;
	*zero = entry->bitmap >> 32 >> sub & 1;
	return !(*data && *zero) && !(*data && !(entry->l2 & OFFSET));
}

bool sectors_read(struct sectors *s, uint64_t sector, uint8_t bytes[SECTOR])
{
	uint64_t offset = sector * SECTOR;
	uint64_t in_cluster = offset & ((1ull << s->cluster_bits) - 1);
	struct sectors_entry entry;
	bool data, zero;

	memset(bytes, 0, SECTOR);
	sectors_look_up(s, offset >> s->cluster_bits, &entry);
	if (entry.l2 & COMPRESSED) {
		if (!unpack(s, entry.l2))
			return false;
		memcpy(bytes, s->unpacked + in_cluster, SECTOR);
		return true;
	}
	data = entry.l2 & OFFSET;
	zero = entry.l2 & ZERO;
	if (s->extended && !look_at_bitmap(s, offset, &entry, &data, &zero))
		return false;
	if (zero)
		return true;
	if (data)
		read_data(s, (entry.l2 & OFFSET) + in_cluster, bytes);
	else
		read_under(s, offset, bytes);
	return true;
}
