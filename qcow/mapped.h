/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * I/O that the caller does: the engine says where a request's bytes live.
 *
 * These calls but qcow_load() never block, never allocate memory and never do
 * I/O, so they are for a thread that serves a queue.
 */
#ifndef QCOW_MAPPED_H
#define QCOW_MAPPED_H

#include "qcow/options.h"

#define QCOW_IO_EXTENTS 16

/* The answers of these calls beside 0 and -errno.  No error of the kernel has
   such a number, so that neither is ever taken for the other. */
enum {
	QCOW_MUST_BLOCK = -5001,   /* make the blocking call */
	QCOW_NO_SPACE_YET = -5002, /* qcow_write() may find some */
};

enum qcow_extent_kind {
	QCOW_EXTENT_ZERO, /* reads as zero; only in mapped reads */
	QCOW_EXTENT_DATA, /* stored bytes */
	/* private to the engine: only its blocking calls can read these */
	QCOW_EXTENT_PACKED, /* part of a compressed cluster */
	QCOW_EXTENT_LEGACY, /* of a legacy image */
};

struct qcow_extent {
	enum qcow_extent_kind kind;
	unsigned int file;    /* index into qcow_fds() */
	uint32_t length;      /* bytes of the request */
	uint64_t offset;      /* of these bytes in the file */
	uint32_t zero_before; /* bytes just before offset, and just after */
	uint32_t zero_after;  /*  the end, that must be written as zero */
	bool grows;	      /* the file, so that its write has to wait */
	/* private to the engine */
	void *source;  /* the owner of the bytes */
	uint32_t skip; /* bytes of a packed cluster before them */
	bool fresh;    /* becomes part of the disk by qcow_finish() */
	struct qcow_reservation {
		struct qcow_reservation *prev, *next;
		uint64_t first, count; /* host clusters */
	} reservation; /* of fresh clusters (R1); count 0: none */
};

/*
 * One request of the guest between its mapping and its end.  The caller
 * provides the memory (usually inside its own request) and leaves it alone
 * until qcow_finish() returned.  While mapped, the extents do not
 * change: nobody reuses or moves these bytes (R9).
 */
struct qcow_io {
	unsigned int nr_extents;
	struct qcow_extent extents[QCOW_IO_EXTENTS];
	/* Bytes that must be written around the only extent: those of a file
	   from offset on go just before it, so many, and, behind as many as
	   the extent is long, those just after it. */
	struct qcow_copy {
		unsigned int file; /* index into qcow_fds() */
		uint32_t before, after;
		uint64_t offset;
	} copy;
	/* private to the engine */
	struct qcow_range {
		struct qcow_range *prev, *next;
		uint64_t first, last;	   /* guest clusters */
		struct image_shard *shard; /* of the list; NULL: the image */
		bool exclusive;
		bool waits; /* for one that came before it */
	} range;
	uint64_t offset;
	uint32_t length;
	bool copies;		   /* may be answered with a copy */
	bool unlocked;		   /* is mapped without the lock */
	uint64_t bitmap;	   /* of an extended L2 entry, when linked */
	bool zeroes;		   /* fresh clusters need zeros around */
	bool writes;		   /* the lease knows of it (R12) */
	uint64_t gains;		   /* of space, when it was mapped (R16) */
	uint32_t room_words;	   /* reserved in the journal (R16), and */
	uint32_t room_assignments; /* in the dirty set */
};

/* mapped.c */

/*
 * Where a request's bytes live: extents in order, together exactly length
 * bytes.  Reading past the end of the file at an extent yields zeros.
 *
 *   0        mapped; do the I/O, then call qcow_finish()
 *   -EBUSY   a request under way has to end first; try again after the next
 *            qcow_finish() or the next end of a blocking call
 *   QCOW_MUST_BLOCK
 *            cannot be answered at once; make the blocking call, on a thread
 *            that may block, or qcow_load() before it
 *
 * After an error there is nothing to finish.  Other errors are final.
 */
int qcow_map_read(struct qcow_image *image, struct qcow_io *io, uint64_t offset,
		  uint32_t length);
int qcow_map_write(struct qcow_image *image, struct qcow_io *io,
		   uint64_t offset, uint32_t length);
/* The same for a write that QCOW_MUST_BLOCK was the answer to, by a caller that
   can copy, too.  io->copy tells if it has to.  The calls above never do. */
int qcow_map_copy(struct qcow_image *image, struct qcow_io *io, uint64_t offset,
		  uint32_t length);

/* discard.c: qcow_discard() and qcow_write_zeroes() of a short range whose
   tables are cached: done, or QCOW_MUST_BLOCK; the blocking call does all of it
   then. */
int qcow_map_discard(struct qcow_image *image, uint64_t offset,
		     uint64_t length);
int qcow_map_zeroes(struct qcow_image *image, uint64_t offset, uint64_t length,
		    bool unmap);

/*
 * After QCOW_MUST_BLOCK, on a thread that may block: loads the tables that the
 * mapping of a read, or of a write in place, has lacked.  true: map once more.
 * false: another thing is in the way, so make the blocking call.
 */
bool qcow_load(struct qcow_image *image, bool writes, uint64_t offset,
	       uint32_t length);

/*
 * The I/O of a mapped request has ended.  result is 0 if every byte of every
 * extent (with its zeros) was moved: fresh extents become part of the disk
 * and the change survives the process (P1); or -errno: they are given back.
 *
 * Returns:
 *   0        the change survives; tell the guest so
 *   QCOW_NO_SPACE_YET
 *            there was no space, but qcow_write() may find some
 *   -errno   result, or why the change failed; tell the guest
 */
int qcow_finish(struct qcow_image *image, struct qcow_io *io, int result);

/* checkpoint.c */

/* qcow_flush() without blocking.  Returns:
   0        now call fdatasync() on each of the first *files of qcow_fds(),
	    there may be none; the flush has succeeded when all of them have,
	    and has failed if one has
   QCOW_MUST_BLOCK
	    make the blocking call, on a thread that may block
   -errno   the flush has failed */
int qcow_map_flush(struct qcow_image *image, unsigned int *files);

#endif /* QCOW_MAPPED_H */
