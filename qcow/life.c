// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The few things in the header that are ever written.
 *
 * Nothing is rewritten that we do not mean to change: a change is made in
 * the bytes as they stood in the file (struct header_area), so unknown
 * fields, extensions and compatible bits stay.
 *
 * A life is the time from the first write after an open to the clean close.
 * An image in a life carries a mark (R12): a private autoclear bit and an
 * extension.  QEMU clears the bit when it writes to the image.  The extension
 * has the nonce of the life, the boot in which it began, and the generation of
 * the tables, which each checkpoint raises.  The extension goes behind all
 * others, over the old end mark: should a power loss tear it apart, the rest
 * still parses.  On a clean close the bytes from before return.  Where the
 * backing name leaves no room, it moves away first, and stays there
 * (header-room.c).
 *
 *	| header | extensions ... | life: 8 + 32 bytes | end |   | backing name
 */
#include <errno.h>
#include <stdlib.h>
#include "qcow/bits.h"
#include "qcow/header.h"

/* An earlier life left an extension that ours can take the place of. */
static bool has_place(const struct header *header)
{
	return header->life_offset && header->life_size == LIFE_SIZE;
}

/* Our extension can stand at the end mark; one of another size makes way. */
static bool room_for_extension(const struct header *header)
{
	uint32_t end = header->extensions_end;

	if (header->life_offset)
		end -= EXTENSION_HEAD + header->life_size;
	return end + 2 * EXTENSION_HEAD + LIFE_SIZE <=
	       header_extensions_limit(header);
}

bool header_has_room(const struct header *header)
{
	return header->version >= 3 &&
	       (has_place(header) || room_for_extension(header));
}

/* Everything in the kept bytes, in one write, and on stable storage. */
static int write_area(struct file *file, const uint8_t *bytes,
		      const struct header_area *area)
{
	int ret = file_write(file, bytes, 0, area->length);

	return ret ? ret : file_sync(file);
}

static void put_extension(uint8_t *at, const struct life_mark *mark)
{
	store_be32(at, EXTENSION_LIFE);
	store_be32(at + 4, LIFE_SIZE);
	at += EXTENSION_HEAD;
	store_be64(at, mark->nonce);
	memcpy(at + 8, mark->boot_id, sizeof(mark->boot_id));
	store_be64(at + 24, mark->generation);
}

static void put_refcount_table(uint8_t *bytes, const struct header *header)
{
	store_be64(bytes + HEADER_REFCOUNT_TABLE_OFFSET,
		   header->refcount_table_offset);
	store_be32(bytes + HEADER_REFCOUNT_TABLE_CLUSTERS,
		   header->refcount_table_clusters);
}

/* Bits that we do not know are a promise, and our first write breaks it, so
   they go before that write.  Bitmaps have been told, and a raw data file is
   kept as one. */
static uint64_t kept_autoclear(const struct header *header)
{
	return header->autoclear & (AUTOCLEAR_BITMAPS | AUTOCLEAR_RAW_DATA);
}

/* Takes an extension that an earlier life left out of the kept bytes. */
static void remove_extension(struct header *header, struct header_area *area)
{
	const uint32_t size = EXTENSION_HEAD + header->life_size;
	uint8_t *at = area->bytes + header->life_offset;
	uint32_t behind = header->extensions_end - header->life_offset - size;

	memmove(at, at + size, behind);
	memset(at + behind, 0, size);
	header->extensions_end -= size;
	header->life_offset = 0;
}

/* Where our extension goes. */
static uint32_t place_of(const struct header *header)
{
	return has_place(header) ? header->life_offset : header->extensions_end;
}

/* The kept bytes with the mark in them; free() frees them. */
static uint8_t *marked_bytes(struct header *header, struct header_area *area,
			     const struct life_mark *mark)
{
	uint8_t *bytes = file_buffer(area->length);
	uint8_t *at;

	if (!bytes)
		return NULL;
	if (header->life_offset && !has_place(header))
		remove_extension(header, area);
	memcpy(bytes, area->bytes, area->length);
	store_be64(bytes + HEADER_AUTOCLEAR,
		   kept_autoclear(header) | AUTOCLEAR_LIFE);
	if (!header_has_room(header))
		return bytes;
	at = bytes + place_of(header);
	put_extension(at, mark);
	if (!has_place(header))
		memset(at + EXTENSION_HEAD + LIFE_SIZE, 0, EXTENSION_HEAD);
	return bytes;
}

/*
 * Changes a copy and writes it.  A write that failed may have reached the
 * file nevertheless: all that is ever written here is valid, and the next
 * attempt writes all of it again.
 */
int header_write_life(struct file *file, struct header *header,
		      struct header_area *area, const struct life_mark *mark)
{
	uint8_t *bytes;
	int ret;

	if (header->version < 3)
		return 0;
	bytes = marked_bytes(header, area, mark);
	if (!bytes)
		return -ENOMEM;
	ret = write_area(file, bytes, area);
	free(bytes);
	return ret;
}

int header_write_mark(struct file *file, struct header *header,
		      struct header_area *area, const struct life_mark *mark)
{
	uint8_t *bytes = marked_bytes(header, area, mark);
	uint32_t at = place_of(header);
	uint32_t start = round_down(at, file->alignment);
	uint32_t end = round_up(at + EXTENSION_HEAD + LIFE_SIZE,
				file->alignment);
	int ret;

	if (!bytes)
		return -ENOMEM;
	ret = file_write(file, bytes + start, start, end - start);
	free(bytes);
	return ret;
}

int header_clear_life(struct file *file, struct header *header,
		      struct header_area *area)
{
	if (header->version < 3)
		return 0;
	header->autoclear = kept_autoclear(header);
	store_be64(area->bytes + HEADER_AUTOCLEAR, header->autoclear);
	if (header->life_offset)
		remove_extension(header, area);
	return write_area(file, area->bytes, area);
}

/* Read, change, write: the bytes in the file may carry our mark. */
static int change_area(struct file *file, const struct header *header,
		       struct header_area *area,
		       void (*put)(uint8_t *bytes, const struct header *header))
{
	uint8_t *bytes = file_buffer(area->length);
	int ret;

	if (!bytes)
		return -ENOMEM;
	ret = file_read(file, bytes, 0, area->length);
	if (!ret) {
		put(bytes, header);
		ret = write_area(file, bytes, area);
	}
	if (!ret)
		put(area->bytes, header);
	free(bytes);
	return ret;
}

int header_write_refcount_table(struct file *file, const struct header *header,
				struct header_area *area)
{
	return change_area(file, header, area, put_refcount_table);
}

static void put_snapshots(uint8_t *bytes, const struct header *header)
{
	store_be32(bytes + HEADER_NB_SNAPSHOTS, header->nb_snapshots);
	store_be64(bytes + HEADER_SNAPSHOTS_OFFSET, header->snapshots_offset);
}

int header_write_snapshots(struct file *file, const struct header *header,
			   struct header_area *area)
{
	return change_area(file, header, area, put_snapshots);
}

static void put_size(uint8_t *bytes, const struct header *header)
{
	store_be64(bytes + HEADER_SIZE, header->size);
	store_be32(bytes + HEADER_L1_SIZE, header->l1_size);
	store_be64(bytes + HEADER_L1_OFFSET, header->l1_offset);
}

int header_write_size(struct file *file, const struct header *header,
		      struct header_area *area)
{
	/* All of them lie in the first sector. */
	return change_area(file, header, area, put_size);
}

static void put_incompatible(uint8_t *bytes, const struct header *header)
{
	store_be64(bytes + HEADER_INCOMPATIBLE, header->incompatible);
}

int header_write_incompatible(struct file *file, struct header *header,
			      struct header_area *area, uint64_t incompatible)
{
	uint64_t old = header->incompatible;
	int ret;

	header->incompatible = incompatible;
	ret = change_area(file, header, area, put_incompatible);
	if (ret)
		header->incompatible = old;
	return ret;
}

int header_void_extensions(struct file *file, const struct header *header,
			   struct header_area *area, uint32_t type)
{
	uint32_t at = header->length, found, length;
	const uint8_t *data;

	/* The extensions keep their places: those behind cannot be moved at
	   once. */
	while (header_next_extension(header, area, &at, &found, &length, &data))
		if (found == type)
			store_be32(area->bytes + (data - area->bytes) -
					   EXTENSION_HEAD,
				   EXTENSION_VOID);
	return write_area(file, area->bytes, area);
}
