/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Where the bytes of a guest range live.  Under the lock. */
#ifndef QCOW_MAP_H
#define QCOW_MAP_H

#include "qcow/image.h"

/* The last extent of a mapping; NULL: there is none. */
static inline struct qcow_extent *map_last_extent(struct qcow_io *io)
{
	return io->nr_extents ? &io->extents[io->nr_extents - 1] : NULL;
}

/* extents.c */

/* Adds to a mapping, making its last extent longer if that goes; -ENOBUFS:
   there is no room.  reserves: its clusters will be added to a reservation. */
int map_add_extent(struct qcow_io *io, const struct qcow_extent *extent,
		   bool reserves);
/* Where the bytes of the cluster at offset are in the files under the image;
   -ENOBUFS: not in one piece of one file, of which a caller could read them. */
int map_under(struct qcow_image *image, uint64_t offset,
	      struct qcow_extent *under, struct need *need);

/* Can the caller move the bytes? */
bool map_is_plain(const struct qcow_image *image, const struct qcow_io *io);

/* map.c */

/* Without the lock, for unlocked.c; anything but 0: not so. */
int map_onwards(struct qcow_image *image, struct qcow_io *io, uint64_t offset,
		uint32_t length);
int map_plain_read(struct qcow_image *image, struct qcow_io *io,
		   uint64_t offset, uint32_t length);
/* Only data that is written in place. */
int map_overwrite(struct qcow_image *image, struct qcow_io *io, uint64_t offset,
		  uint32_t length);

/* Goes on with a mapped read in an image that lies under another. */
int map_continue(struct qcow_image *image, struct qcow_io *io, uint64_t offset,
		 uint32_t length, struct need *need);
/* Map as much of a range, which the caller has entered, as can be mapped at
   once: io->length says how much.  Return:
     0           mapped
     NEEDS_MORE  something, which need names, has to be provided first
     -EUCLEAN    the tables contradict themselves
     -errno      another error; final */
int map_read(struct qcow_image *image, struct qcow_io *io, uint64_t offset,
	     uint32_t length, struct need *need);
int map_write(struct qcow_image *image, struct qcow_io *io, uint64_t offset,
	      uint32_t length, struct need *need);
/* The same for a read of which no part is to be left out. */
int map_whole(struct qcow_image *image, struct qcow_io *io, uint64_t offset,
	      uint32_t length, struct need *need);
/* The same for a range inside one cluster, by a caller that can copy. */
int map_copy(struct qcow_image *image, struct qcow_io *io, uint64_t offset,
	     uint32_t length, struct need *need);

#endif /* QCOW_MAP_H */
