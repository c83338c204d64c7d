/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The qcow2 engine: opens an image, reads and changes the disk that the guest
 * sees, closes the image.
 *
 * Conventions: functions return 0 or -errno; values come back through
 * pointers.  Offsets and lengths are bytes of the virtual disk, multiples of
 * QCOW_SECTOR, inside [0, qcow_size()).  All functions may be called from
 * any thread.  Nothing here prints or exits.
 *
 * There are two ways to do I/O, and they may be mixed freely:
 *
 *   qcow_read() ... qcow_flush()  block until done and handle every case;
 *   qcow_map_read/write() and     never block: the caller learns where the
 *   qcow_finish()                 bytes live and moves them.
 *
 * An acknowledged change (any of these returned 0) survives the death of the
 * process; qcow_flush() makes it survive a power loss.
 *
 * The headers included here are parts of this interface; resize.h, create.h and
 * merge.h have the rest of it.
 */
#ifndef QCOW_H
#define QCOW_H

#include "qcow/check.h"
#include "qcow/inspect.h"
#include "qcow/lock.h"
#include "qcow/mapped.h"
#include "qcow/options.h"

/* open.c */

/*
 * Opens the image at path, takes its locks, replays its journal and is then
 * ready for I/O.  May wait: for a dead owner's last I/O to end (R14).
 * options may be NULL.  On failure *error (may be NULL) says why and nothing
 * was changed.
 */
int qcow_open(const char *path, const struct qcow_options *options,
	      struct qcow_image **image, struct qcow_error *error);

/*
 * Makes everything durable, leaves no trace of us in the image and frees it.
 * No I/O may be under way.  The image is freed even on failure; its journal
 * then stays, to be replayed by the next open.
 */
int qcow_close(struct qcow_image *image);

/* image.c */

/* Size of the virtual disk in bytes, a multiple of QCOW_SECTOR. */
uint64_t qcow_size(const struct qcow_image *image);

/* Cluster size in bytes, a power of two from 512 to 2 MiB. */
uint32_t qcow_cluster_size(const struct qcow_image *image);

bool qcow_read_only(const struct qcow_image *image);

void qcow_identify(const struct qcow_image *image,
		   struct qcow_identity *identity);
/* Alignment in bytes that I/O on the descriptors of qcow_fds() needs. */
uint32_t qcow_alignment(const struct qcow_image *image);

/*
 * The descriptors that extents refer to: extent.file indexes this array.
 * They belong to the image.  Returns how many there are; fills at most max.
 */
unsigned int qcow_fds(const struct qcow_image *image, int *fds,
		      unsigned int max);

struct qcow_stats {
	uint64_t cache_hits, cache_misses;
	uint64_t checkpoints, groups;
	uint64_t journal_used, journal_size; /* bytes */
};

/* Counters since the open; the journal's are those of now. */
void qcow_get_stats(struct qcow_image *image, struct qcow_stats *stats);

/* layers.c */

/* The files that belong to the image, from the top down, at most
   QCOW_FILES_MAX; paths belong to the image.  Returns how many there are;
   fills at most max. */
unsigned int qcow_layers(const struct qcow_image *image,
			 struct qcow_layer *layers, unsigned int max);

/* io.c: calls that block, as do those of discard.c and checkpoint.c; mapped.h
   has those that do not.  -EOWNERDEAD: a process that reads a legacy image was
   killed, and only another open gets a new one. */

int qcow_read(struct qcow_image *image, void *buffer, uint64_t offset,
	      size_t length);
int qcow_write(struct qcow_image *image, const void *buffer, uint64_t offset,
	       size_t length);

/* discard.c */

/* Whole clusters inside the range read as zero afterwards and give their
   space back; parts of clusters keep their data. */
int qcow_discard(struct qcow_image *image, uint64_t offset, uint64_t length);

/* The range reads as zero afterwards.  Space is given back only if unmap. */
int qcow_write_zeroes(struct qcow_image *image, uint64_t offset,
		      uint64_t length, bool unmap);

/* checkpoint.c */

/* All that was acknowledged before the call survives a power loss (R8). */
int qcow_flush(struct qcow_image *image);

/* journal-remove.c */

/* Removes the rest of a life: its journal in a directory (NULL: the default)
   and the note beside it.  The acknowledged writes in the journal are
   lost.  Nobody may serve the image. */
int qcow_forget_journal(const struct qcow_identity *identity,
			const char *directory);

#endif /* QCOW_H */
