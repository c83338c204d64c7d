/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An image in memory.
 *
 * Changes that the file's tables do not tell yet live in two dirty sets of
 * assignments (L1[i], L2[g], refcount[c] = value): one active, one frozen by
 * the checkpoint under way.  The cache and the arrays below hold the values in
 * the *file*.  So a look-up goes active, frozen, file; a cached slice is always
 * clean; a cluster is free if the file's count is zero and no dirty set names
 * the cluster (R9).
 *
 * The journal's rules R1 to R17 stand in the file JOURNAL-RULES beside this
 * one; the code cites them.
 */
#ifndef QCOW_IMAGE_H
#define QCOW_IMAGE_H

#include <pthread.h>
#include "qcow/bits.h"
#include "qcow/cache.h"
#include "qcow/crew.h"
#include "qcow/dirty.h"
#include "qcow/format.h"
#include "qcow/header.h"
#include "qcow/journal.h"
#include "qcow/latch.h"
#include "qcow/punched.h"
#include "qcow/qcow.h"
#include "qcow/shared.h"
#include "qcow/stretches.h"
#include "qcow/turn.h"

/* Never changes after the open, but for a growth of the disk (resize.c), when
   nobody reads it: read without the lock. */
struct image_geometry {
	unsigned int version;
	uint32_t cluster_bits;
	bool extended;	    /* L2 entries have subclusters */
	uint32_t part_bits; /* log2 bytes of the unit that is
			       allocated: a cluster or subcluster */
	uint32_t l2_bits;   /* log2 of entries per L2 table */
	uint32_t refcount_order;
	uint32_t block_bits; /* log2 of counts per refcount block */
	uint64_t size;	     /* bytes, a multiple of QCOW_SECTOR */
	uint64_t clusters;   /* of the guest */
	uint32_t l1_size;
	uint64_t l1_offset;
};

/* The life of the image as its header tells it (R12).  Protected by
   image->lock, but for area: by header_turn. */
struct image_life {
	struct header_area area;
	struct turn header_turn; /* to write the header */
	bool marked;		 /* our mark is in the image; shared */
	bool given_up;		 /* and one whose journal was given up */
	bool bitmaps_misplaced;	 /* there can be no directory there */
};

/* Room behind the clusters in use (ahead.c), in clusters. */
struct ahead {
	uint64_t end;	 /* it was set aside up to there */
	uint64_t ask_at; /* a reservation of that, or behind, asks for more */
	uint64_t opened; /* the high-water mark at the open */
	uint64_t start;	 /* and before any room was set aside, if */
	bool made;	 /* some was in this life */
	bool asked;
};

/* The search for free clusters below the file's end (sweep.c). */
struct sweep {
	uint64_t at, end; /* host clusters that are left */
	uint64_t run;	  /* all from there to at are in use */
	uint64_t gains;	  /* stretches.gains when that was last true */
	uint64_t found;	  /* the first that may be free */
	bool over;	  /* or there is nobody to do it */
};

/* Host clusters: which are in use, and where to look for free ones.  Protected
   by image->lock; tables and guarded never change after the open. */
struct allocator {
	uint64_t *refcount_table;     /* as the file has it */
	uint32_t refcount_table_size; /* entries; shared */
	bool table_moved;	      /* the header does not say so yet */
	struct turn grow_turn;	      /* to grow the refcounts */
	uint64_t *tables;	      /* where L2 tables and refcount blocks
					 were at the open, in order; none of
					 them is freed in a life */
	uint64_t nr_tables;
	struct guarded {
		uint64_t first, end; /* bytes */
	} * guarded;		     /* where internal snapshots and bitmaps
					have their tables, in order */
	uint32_t nr_guarded;
	struct qcow_reservation reservations; /* list head: host clusters that
					   writes in flight will use; never in
					   a refcount, so death forgets them
					   (R1) */
	uint64_t high_water;		      /* host clusters from here on were
						 never used: they read as zero;
						 shared */
	struct punched punched; /* ... nor were these, since they were free */
	uint64_t cursor;	/* no free cluster is known below */
	struct stretches stretches; /* ... nor in some parts above */
	struct sweep sweep;	    /* the search at the open */
	bool swept;		    /* it is over, or was not needed */
	uint64_t gains;		    /* how often there was more space; shared */
	uint64_t max_clusters;	    /* of the host file; a device may grow */
	struct ahead ahead;
};

/* The assignments that the file's tables do not have yet.  Protected by
   image->lock; only the thread that has the checkpoint's turn changes the
   frozen set, also without the lock.  Shared. */
struct dirty {
	struct dirty_set active;
	struct dirty_set frozen;
	bool freezing;	   /* frozen holds something */
	uint32_t max;	   /* assignments in both; either can hold as many */
	uint32_t reserved; /* promised to groups to come (R16) */
};

/* checkpoint.c.  Protected by image->lock, but for sorted and bounce: by the
   turn. */
struct checkpoint {
	pthread_t thread;
	bool has_thread;
	bool stopping;
	pthread_cond_t work;
	struct turn turn;    /* to make a checkpoint */
	uint64_t freezes;    /* checkpoints that froze so far */
	uint64_t complete;   /* ... and that are complete */
	uint64_t wanted;     /* callers have come for so many */
	uint64_t failures;   /* attempts that failed so far */
	int told;	     /* the last of them told by image_notice(), or 0 */
	bool asleep;	     /* the thread; until there is a group */
	uint64_t frozen_end; /* S: the journal's end at the freeze */
	struct assignment *sorted; /* the frozen set, sorted */
	void *bounce;		   /* cache_most_ahead() slices */
	bool lowers;		   /* some frozen counts are lower than those in
				      the file */
};

/* The faults that the image has met, and those that were told of.  Protected
   by image->lock. */
struct health {
	_Atomic bool sync_lost; /* a buffered sync failed (R17); set by
				   file_sync(), with or without lock */
	bool corrupt;		/* its tables contradict themselves; writes
				   fail; shared */
	bool told_corrupt;	/* that a read has met such */
	bool told_under;	/* that something under it is so */
	bool punch_unsupported;
};

/* Of a thread that maps without the image's lock. */
struct image_shard {
	_Alignas(CACHE_LINE) struct latch latch;
	struct qcow_range ranges; /* list head; protected by the latch here */
	bool allocates; /* its last write was not one in place; no lock, for
			   only the shard's threads use it, by shared_put() */
};

/*
 * Lock order: a guest range, then a turn, then image->lock, then a latch;
 * never two ranges; never any I/O under image->lock.  Fields without a remark
 * never change after open.
 */
struct qcow_image {
	struct file file;
	char *path;			  /* resolved */
	unsigned int file_index;	  /* in qcow_fds() */
	bool external;			  /* has a data file */
	bool raw_data;			  /* and that alone is the disk, too */
	struct file data_file;		  /* behind file in qcow_fds() */
	uint64_t data_end;		  /* of its device; a file has none */
	char *data_path;		  /* resolved */
	struct file *data;		  /* where the guest's bytes are */
	uint32_t alignment;		  /* the greater of its file's and of
					     the images' under it */
	struct backing *backing;	  /* NULL: none */
	struct unpacker *unpacker;	  /* of compressed clusters */
	const struct qcow_image *overlay; /* the image above it; NULL: none */
	bool read_only;
	enum qcow_locking locking; /* that its caller wants */
	struct image_geometry geometry;
	bool inline_checkpoint;
	bool journal_stays;
	void (*notice)(void *opaque, const char *line);
	void *opaque;
	struct image_shard *shards; /* SHARDS of them */

	/* The lock protects all from here on.  Where unlocked look-ups read
	   without it, that is said as "shared": those are written by
	   shared_put(). */
	_Alignas(CACHE_LINE) pthread_mutex_t lock;
	pthread_cond_t changed; /* blocking calls wait for it */
	unsigned int waiters;	/* on changed */

	/* Shared; unlocked.c tells how. */
	_Alignas(CACHE_LINE) uint32_t changes; /* of shared fields, twice */
	unsigned int exclusives;	       /* in ranges */
	unsigned int shards_used;	       /* the first so many */

	struct header header;
	struct image_life life;
	struct lease lease;	  /* has its own lock */
	uint64_t *l1;		  /* as the file has it; shared */
	bool l1_moved;		  /* the header does not say so yet */
	struct turn table_turn;	  /* to make an L2 table */
	struct qcow_range ranges; /* list head, in order of arrival */
	struct allocator allocator;
	struct cache cache;
	struct journal journal;
	struct dirty dirty;
	struct checkpoint checkpoint;
	struct crew crew; /* of whoever has the checkpoint's turn */
	struct health health;
	struct qcow_merge *merge; /* of layers under it; NULL: none; shared */
	uint64_t groups;	  /* appended, statistics */
};

/* Answers inside the engine, beside 0 and -errno. */
enum {
	NEEDS_MORE = -5003, /* call provide() with struct need, then again */
	NEEDS_COW = -5004,  /* the cluster has to be copied: cow_write() */
};

/* Why a map call could not answer at once, and which step would help. */
struct need {
	enum need_kind {
		NEED_RETRY,	/* nothing: call again */
		NEED_SLICE,	/* load slice (type, offset) */
		NEED_TABLE,	/* an L2 table for L1 index */
		NEED_OWN_TABLE, /* that is ours alone, likewise */
		NEED_COPY,	/* guest cluster index elsewhere */
		NEED_BLOCK,	/* a refcount block for table index */
		NEED_ROOM,	/* a checkpoint */
		NEED_MARK,	/* our mark in the image */
	} kind;
	enum slice_type type;
	uint64_t index;		  /* or offset */
	struct qcow_image *image; /* which of a chain needs it */
};

/* image.c */

/* Hands a line to the notice() of the options; not under the lock. */
void image_notice(struct qcow_image *image, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
/* Under the lock: waits for a change of any kind; wakes all that wait. */
void image_wait(struct qcow_image *image);
void image_wake(struct qcow_image *image);
/* Not under the lock: syncs the image and its data file. */
int image_sync(struct qcow_image *image);
/* Under the lock: the right to write the header. */
void image_take_header(struct qcow_image *image);
void image_release_header(struct qcow_image *image);
/* Under the lock: writes our mark before a life's first write (R12). */
int image_mark(struct qcow_image *image);
/* Under the lock: writes the generation of the tables that the checkpoint
   writes; and, after the sync, the image has it (R12). */
int image_raise_generation(struct qcow_image *image);
void image_keep_generation(struct qcow_image *image);
/* Not under the lock: a write has met an inconsistency.  Marks the image as
   corrupt and lets no further write into it. */
void image_set_corrupt(struct qcow_image *image);
/* qcow_fds() from an index on; returns how many in all. */
unsigned int image_fds(const struct qcow_image *image, int *fds,
		       unsigned int max, unsigned int count);
/* The index in qcow_fds() of the first file under the image. */
unsigned int image_next_index(const struct qcow_image *image);

/* Memory for its tables, as the options or its size ask for. */
size_t image_cache_bytes(const struct qcow_image *image,
			 const struct qcow_options *options);

/* The lock is dropped between these two: no I/O happens under it. */
static inline void image_io_begin(struct qcow_image *image)
{
	pthread_mutex_unlock(&image->lock);
}

static inline void image_io_end(struct qcow_image *image)
{
	pthread_mutex_lock(&image->lock);
}

static inline uint64_t cluster_size(const struct qcow_image *image)
{
	return 1ull << image->geometry.cluster_bits;
}

/* A lock for the rest of the enclosing block. */
static inline void image_unlock(struct qcow_image **image)
{
	pthread_mutex_unlock(&(*image)->lock);
}

static inline struct qcow_image *image_lock(struct qcow_image *image)
{
	pthread_mutex_lock(&image->lock);
	return image;
}

#define LOCKED(image) \
	struct qcow_image *locked_image __attribute__(( \
		cleanup(image_unlock), unused)) = image_lock(image)

/* unlocked.c */

/* Under the lock: between these two, shared fields do not fit together.  No
   I/O is in between, and no other pair. */
void image_change_begin(struct qcow_image *image);
void image_change_end(struct qcow_image *image);

/* open.c */

/* Opens an image that lies under another, read-only. */
int image_open_under(struct qcow_image *overlay, const char *path,
		     const struct qcow_options *options,
		     struct qcow_image **image, struct qcow_error *error);

/* load.c: at open */

int load_l1(struct qcow_image *image, struct qcow_error *error);
int load_refcount_table(struct qcow_image *image, struct qcow_error *error);
/* Is every entry of both sound, and every table at a place of its own? */
int load_check(struct qcow_image *image, struct qcow_error *error);

/* guard.c: at open */

/* Notes bytes of the file where no data may ever be written. */
int guard_add(struct qcow_image *image, uint64_t offset, uint64_t length);
/* Notes where the tables of snapshots and bitmaps lie, so that no data is ever
   written there; nothing if they cannot be read. */
int guard_tables(struct qcow_image *image);

/* snapshots.c */

int snapshots_guard(struct qcow_image *image);

/* bitmaps.c */

/* Marks every persistent bitmap as in use, durably, if the image has any.  Not
   under the lock; the caller has the right to write the header. */
int bitmaps_set_in_use(struct qcow_image *image);
int bitmaps_guard(struct qcow_image *image);
/* How many there are, if they count. */
unsigned int bitmaps_count(const struct header *header,
			   const struct header_area *area);

/* check/check.c */

/* Rebuilds the refcounts of a dirty image and clears that bit; the header
   has to be read again. */
int check_rebuild(struct file *file, const struct qcow_options *options,
		  struct qcow_error *error);

#endif /* QCOW_IMAGE_H */
