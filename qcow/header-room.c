// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Room for our mark (R12) in the header of an overlay.
 *
 * QEMU puts the name of the backing file right behind the end of the
 * extensions.  The format leaves all of the first cluster behind the header to
 * extensions and that name, wherever the name stands.  So before the first
 * mark the name moves away, and it stays there when the life ends.
 *
 *	| header | extensions ... | end | name |
 *	| header | extensions ... | end | name | name |	   copied
 *	| header | extensions ... | end | name | name |	   the header says so
 *	| header | extensions ... | end | 0000 | name |	   wiped
 *
 * Each step is on stable storage before the next begins.  So at any instant the
 * header points to a whole name, and the extensions have their end.
 *
 * The wiping keeps the extensions whole when the mark comes: should a power
 * loss tear the mark apart, zeros must stand behind the part that is there.
 */
#include <errno.h>
#include <stdlib.h>
#include "qcow/bits.h"
#include "qcow/header.h"

/* The extension and the end mark behind it. */
#define ROOM (2 * EXTENSION_HEAD + LIFE_SIZE)

static int write_durably(struct file *file, const uint8_t *bytes,
			 uint32_t length)
{
	int ret = file_write(file, bytes, 0, length);

	return ret ? ret : file_sync(file);
}

/* Where the name leaves room, in sectors of its own; 0: nowhere.  Without an
   end mark the old name would be taken for extensions. */
static uint32_t find_place(const struct header *header)
{
	uint64_t old_end = header->backing_offset + header->backing_size;
	uint64_t mark_end = header->extensions_end + ROOM;
	uint64_t place = round_up(max_u64(old_end, mark_end), QCOW_SECTOR);

	if (header->extensions_end + EXTENSION_HEAD > header->backing_offset ||
	    place + header->backing_size > 1u << header->cluster_bits)
		return 0;
	return place;
}

/* bytes: length of them, from the file's first on. */
static int move_name(struct file *file, struct header *header,
		     struct header_area *area, uint32_t place, uint8_t *bytes,
		     uint32_t length)
{
	int ret = file_read(file, bytes, 0, length);

	if (ret)
		return ret;
	memcpy(bytes + place, bytes + header->backing_offset,
	       header->backing_size);
	ret = write_durably(file, bytes, length);
	if (ret)
		return ret;
	store_be64(bytes + HEADER_BACKING_OFFSET, place);
	ret = write_durably(file, bytes, length);
	if (ret)
		return ret;
	/* Only now: had this failed, the old name would still count. */
	memcpy(area->bytes, bytes, area->length);
	header->backing_offset = place;
	return 0;
}

static int move_name_away(struct file *file, struct header *header,
			  struct header_area *area)
{
	uint32_t place = find_place(header), length;
	uint8_t *bytes;
	int ret;

	if (!place)
		return 0;
	length = max_u64(area->length, round_up(place + header->backing_size,
						file->alignment));
	bytes = file_buffer(length);
	if (!bytes)
		return -ENOMEM;
	ret = move_name(file, header, area, place, bytes, length);
	free(bytes);
	return ret;
}

static int wipe_room(struct file *file, const struct header *header,
		     struct header_area *area)
{
	static const uint8_t zeros[ROOM];
	uint8_t *room = area->bytes + header->extensions_end;

	if (!memcmp(room, zeros, ROOM))
		return 0;
	memset(room, 0, ROOM);
	return write_durably(file, area->bytes, area->length);
}

int header_make_room(struct file *file, struct header *header,
		     struct header_area *area)
{
	int ret = 0;

	/* An earlier mark has its place, and zeros behind it. */
	if (header->version < 3 || header->life_offset)
		return 0;
	if (!header_has_room(header))
		ret = move_name_away(file, header, area);
	if (ret || !header_has_room(header))
		return ret;
	return wipe_room(file, header, area);
}
