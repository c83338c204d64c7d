// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Linking: the end of a mapped write, when its fresh clusters become part of
 * the disk.
 *
 * The mapping reserves room for the group that links them, in the journal and
 * in the dirty set, so that linking cannot fail (R16).  When the bytes are in
 * the file (R2), one group names all fresh extents of the request: the L2
 * entries, the second words of extended ones, and the refcounts (R3).  If the
 * bytes did not get there, reservations and room are given back, and the disk
 * is as before.
 *
 * Writes in place have no fresh extents: for them, only the lease is told.
 */
#include "qcow/append.h"
#include "qcow/link.h"
#include "qcow/refcount.h"

static uint64_t clusters_of(const struct qcow_image *image,
			    const struct qcow_extent *extent)
{
	uint64_t end = extent->offset + extent->length - 1;

	return (end >> image->geometry.cluster_bits) -
	       (extent->offset >> image->geometry.cluster_bits) + 1;
}

/* Then there is room for the group that links them. */
bool link_has_fresh(const struct qcow_io *io)
{
	return io->room_words;
}

/* The words of an extent's records in a group: its L2 entries, the second
   word of an extended entry, its refcounts. */
#define EXTENT_WORDS 6

_Static_assert(GROUP_WORDS / EXTENT_WORDS >= QCOW_IO_EXTENTS,
	       "one group links all extents of a request");

static int needs_room(struct qcow_image *image, struct need *need)
{
	*need = (struct need){ .kind = NEED_ROOM, .image = image };
	return NEEDS_MORE;
}

int link_reserve(struct qcow_image *image, struct qcow_io *io,
		 struct need *need)
{
	uint32_t words = 1, assignments = 0;

	for (unsigned int i = 0; i < io->nr_extents; i++) {
		if (!io->extents[i].fresh)
			continue;
		words += 4 + 2 * image->geometry.extended;
		assignments += (2 + image->geometry.extended) *
			       clusters_of(image, &io->extents[i]);
	}
	if (!assignments)
		return 0;
	if (!append_has_room(image, words, assignments))
		return needs_room(image, need);
	io->room_words = words;
	io->room_assignments = assignments;
	append_reserve_room(image, words, assignments);
	return 0;
}

void link_release(struct qcow_image *image, struct qcow_io *io, bool used)
{
	for (unsigned int i = 0; i < io->nr_extents; i++)
		refcount_release(image, &io->extents[i].reservation, used);
	if (io->room_words)
		append_release_room(image, io->room_words,
				    io->room_assignments);
	io->room_words = 0;
}

/* The group that makes the fresh extents part of the disk. */
static void link_fresh(struct qcow_image *image, const struct qcow_io *io)
{
	uint64_t offset = io->offset;
	struct group group; /* is too large to be cleared for each write */

	group.words = 0;
	for (unsigned int i = 0; i < io->nr_extents; i++) {
		const struct qcow_extent *extent = &io->extents[i];
		uint64_t host = round_down(extent->offset, cluster_size(image));
		struct record l2 = {
			.kind = RECORD_L2_DATA,
			.index = offset >> image->geometry.cluster_bits,
			.count = clusters_of(image, extent),
			.value = host | ENTRY_COPIED,
		};
		struct record count = {
			.kind = RECORD_REFCOUNT,
			.index = extent->reservation.first,
			.count = extent->reservation.count,
			.value = 1,
		};

		offset += extent->length;
		if (!extent->fresh)
			continue;
		group_add(&group, &l2);
		if (image->geometry.extended)
			group_assign(&group, RECORD_L2_BITMAP, l2.index,
				     io->bitmap);
		if (count.count)
			group_add(&group, &count);
	}
	/* R2: its bytes are all in the file. */
	append_group(image, &group);
}

void link_end(struct qcow_image *image, struct qcow_io *io, bool moved)
{
	bool fresh = link_has_fresh(io);

	if (!io->writes)
		return;
	lease_end(&image->lease);
	io->writes = false;
	if (!fresh)
		return;
	/* The append takes the room that it was promised. */
	link_release(image, io, moved);
	if (moved)
		link_fresh(image, io);
}
