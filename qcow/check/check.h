/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Inside the check of an image, file by file.  check.c has the order of its
 * steps.
 *
 * Words of its own: a *reference* is one mention of a host cluster by the
 * image's tables, a *count* is its value in the refcount block.  A
 * *window* is the part of the file whose references are in memory.  A *root*
 * is a table that nothing but the header, the snapshot table or the bitmap
 * directory leads to.
 */
#ifndef QCOW_CHECK_CHECK_H
#define QCOW_CHECK_CHECK_H

#include "qcow/bits.h"
#include "qcow/check.h"
#include "qcow/error.h"
#include "qcow/header.h"

/* counts.c: references to host clusters, for one window of the file */

/* The references to a cluster, and its count. */
enum {
	REFERENCE_COPIED = 1, /* an entry of the active layer with COPIED */
	REFERENCE_PLAIN = 2,  /* one without */
	REFERENCE_OWN = 4,    /* metadata that cannot be shared */
	REFERENCE_TABLE = 8,  /* an L1 entry: it is an L2 table */
	REFERENCE_DATA = 16,  /* an L2 entry */
	REFERENCE_BLOCK = 32, /* a refcount block, which can be replaced */
	COUNT_ONE = 64,	      /* the count is, or will be, one */
};

struct leaf {
	uint64_t index; /* first cluster >> LEAF_BITS */
	bool wide;
	void *cells; /* uint16_t, or uint64_t if wide */
};

#define LEAF_BITS 14

struct counts {
	struct leaf *leaves; /* sorted */
	uint32_t used, capacity;
	size_t bytes, budget;
	uint64_t first, limit; /* the window, in clusters */
};

/* Empties it; the window begins at first and goes on for as long as the
   budget lasts. */
void counts_begin(struct counts *counts, uint64_t first);
void counts_destroy(struct counts *counts);
/* References outside the window are ignored.  The window may end earlier
   afterwards.  0 or -ENOMEM. */
int counts_add(struct counts *counts, uint64_t cluster, uint64_t references,
	       unsigned int flags);
uint64_t counts_get(const struct counts *counts, uint64_t cluster,
		    unsigned int *flags);
void counts_set_one(struct counts *counts, uint64_t cluster);

/* roots.c: where the walk begins */

enum root_kind {
	ROOT_ACTIVE,   /* the L1 table of the disk itself */
	ROOT_SNAPSHOT, /* that of an internal snapshot */
	ROOT_BITMAP,
};

struct root {
	enum root_kind kind;
	uint32_t number;  /* of the snapshot or bitmap, from 0 */
	uint32_t entries; /* 64 bits each */
	uint64_t offset;
};

/* A run of bytes that belongs to nobody else. */
struct area {
	uint64_t offset, length;
};

#define MAX_AREAS 5

/* The table of snapshots. */
struct snapshots {
	uint32_t kept;	   /* entries that it may have */
	uint64_t end;	   /* where they end in the file */
	struct area *area; /* of the table */
	bool lost;	   /* where it ends is unknown */
	bool stretched;	   /* too much of something is in it */
	bool suspect;	   /* an entry does not look like one */
	bool mendable;	   /* and has to be written anew, here: */
	uint64_t new_offset, new_length;
};

/* tables.c: the L2 tables, each once however often it is referred to */

struct table {
	uint64_t offset;
	uint64_t references; /* by all L1 tables */
	uint64_t active;     /* of these, by the active one */
	uint32_t index;	     /* of one of them in its L1 table */
};

struct tables {
	struct table *list; /* sorted when complete */
	uint32_t used, capacity;
	uint64_t first, limit; /* the part of the file they are in, bytes */
};

/* check.c */

/* Clusters one after the other with the same finding. */
struct run {
	uint64_t first, length;
	uint64_t count, references;
	bool shared; /* metadata with something else */
};

/* The future of counts that differ from the references. */
enum outcome {
	COUNTS_STAY,
	COUNTS_RAISED,	/* if they are too low */
	COUNTS_LOWERED, /* if they are too high */
};

enum copied_task {
	COPIED_TELL, /* flags that are wrong */
	COPIED_CLEAR,
	COPIED_SET,
};

struct check {
	struct file *file;
	const struct qcow_check_options *options;
	struct header header;
	struct header_area header_area;
	bool keep_mark;	     /* R12's bit is the caller's matter */
	uint64_t file_size;  /* bytes */
	uint64_t clusters;   /* of the file, rounded up */
	uint32_t entry_size; /* of L2 entries, bytes */
	uint32_t block_bits; /* log2 of counts per block */

	uint64_t *refcount_table;
	uint32_t refcount_table_size; /* entries */
	bool refcount_table_shared;   /* something else is there, too */
	uint8_t *block_states;	      /* for every entry that the largest
					 table could have; see
					 blocks.c */

	struct root *roots;
	uint32_t nr_roots, max_roots;
	struct area *lost; /* tables that are not in the file */
	uint32_t nr_lost;
	struct area areas[MAX_AREAS];
	unsigned int nr_areas;
	struct snapshots snapshots;
	bool bitmaps_broken;

	struct counts counts;
	struct tables tables;
	uint8_t *table; /* an L2 table, one cluster */
	uint8_t *block; /* a refcount block, one cluster */

	bool reporting;	     /* this round tells its findings */
	bool quiet;	     /* ... but these were told before */
	bool incomplete;     /* there may be references that the
				walk did not find */
	bool tangled;	     /* tables overlap each other: writing
				one would destroy another */
	bool hopeless;	     /* and not because of a block */
	bool mixed;	     /* a table lies where data are, too */
	bool malformed;	     /* entries that cannot be */
	bool headless;	     /* the L1 table is not in the file */
	bool behind;	     /* there are references behind its end */
	bool cut;	     /* ... or were in an earlier round */
	bool seeking;	     /* only these are counted now */
	bool miscounted;     /* blocks that are none, or clusters in
				use whose count is zero */
	bool relink;	     /* the table in memory is newer */
	bool mendable;	     /* entries that can be mended */
	bool copied_wrong;   /* flags of this window */
	bool copied_nowhere; /* one leads to where nothing is */
	enum copied_task copied_task;
	struct run run;
	uint64_t copied_findings; /* corruptions that are mere flags */
	uint64_t highest;	  /* cluster that is referred to */
	uint64_t highest_used;	  /* ... or has a count */
	uint64_t lines;		  /* told so far */
	struct qcow_check result;
};

static inline uint64_t check_cluster_size(const struct check *check)
{
	return 1ull << check->header.cluster_bits;
}

static inline bool check_has_subclusters(const struct check *check)
{
	return check->header.incompatible & INCOMPATIBLE_EXTENDED_L2;
}

static inline bool check_has_data_file(const struct check *check)
{
	return check->header.incompatible & INCOMPATIBLE_DATA_FILE;
}

/* One look at everything; the findings are in check->result. */
int check_round(struct check *check);
/* Counts the references window by window and calls this after each. */
typedef int window_function(struct check *check);
int check_each_window(struct check *check, window_function *function);

/* say.c */

void check_say(struct check *check, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
/* Findings: told and counted once, however often a walk meets them. */
void check_corrupt(struct check *check, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
/* An error of ours or of the disk's: the check itself is not complete. */
void check_failed(struct check *check, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
void check_progress(struct check *check, uint64_t done, uint64_t total);

/* roots.c */

/* Reads a run of bytes, wherever it begins. */
int check_read_bytes(struct check *check, void *bytes, uint64_t offset,
		     uint32_t length);
/* Something is there that cannot be walked. */
void check_drop(struct check *check, const char *what, uint32_t number,
		const char *why);
/* Why a table of so many 64-bit entries cannot be there, or NULL. */
const char *check_judge_root(const struct check *check, uint64_t offset,
			     uint64_t entries);
/* Adds it, or drops it with a finding. */
int check_add_root(struct check *check, enum root_kind kind, uint32_t number,
		   uint64_t offset, uint32_t entries);
struct area *check_add_area(struct check *check, uint64_t offset,
			    uint64_t length);
/* Fills in roots and areas: L1 tables, snapshot table, bitmaps. */
int check_find_roots(struct check *check);

/* snapshots.c */

int check_find_snapshots(struct check *check);
/* Writes a new snapshot table where nobody looks. */
int check_make_snapshots(struct check *check);
/* Makes it count, when it and its counts are durable. */
int check_link_snapshots(struct check *check);

/* bitmaps.c */

int check_find_bitmaps(struct check *check, const uint8_t *extension,
		       uint32_t length);

/* tables.c */

/* Called with pieces of a root: entries as they stand in the file, the first
   of which has this index. */
typedef int root_function(struct check *check, const struct root *root,
			  uint32_t index, uint8_t *entries, uint32_t count);
int check_each_root(struct check *check, enum root_kind from, enum root_kind to,
		    root_function *function);
/* Called once for every L2 table, with its bytes in check->table. */
typedef int table_function(struct check *check, const struct table *table);
int check_each_table(struct check *check, table_function *function);
int check_write_table(struct check *check, const struct table *table);

/* reference.c */

/* Does a run of bytes lie in the file, but for a part of a cluster? */
bool check_is_inside(const struct check *check, uint64_t offset,
		     uint64_t length);
/* Counts every cluster of the window that a run of bytes touches. */
int check_count_run(struct check *check, uint64_t offset, uint64_t length,
		    uint64_t references, unsigned int flags);
/* Does a cluster lie in the file? */
bool check_is_there(const struct check *check, uint64_t offset);
/* An entry does not say where its cluster lies: its reference cannot be
   counted. */
void check_lose_reference(struct check *check);

/* entry.c */

#define L2_RESERVED 0x3f000000000001feull

enum entry_kind {
	ENTRY_IS_UNALLOCATED,
	ENTRY_IS_ZERO,
	ENTRY_IS_DATA, /* or zero with a host cluster */
	ENTRY_IS_COMPRESSED,
};

enum entry_kind check_entry_kind(const struct check *check, uint64_t entry);

/* Are bytes of the guest's stored where a data entry says? */
bool check_holds_data(const struct check *check, uint64_t entry,
		      uint64_t bitmap);
/* Judges the entry at a byte of the table and counts its references.  bitmap is
   0 where entries have no subclusters. */
int check_count_entry(struct check *check, const struct table *table,
		      uint64_t at, uint64_t entry, uint64_t bitmap);

/* walk.c */

/* Counts all references of the window that begins at this cluster. */
int check_count(struct check *check, uint64_t first);
/* Counts those behind the end of the file, in the same way. */
int check_count_all_behind(struct check *check, uint64_t first);

/* compare.c */

/* The most that a refcount of this width can say. */
uint64_t check_max_count(const struct check *check);
/* Compares the window's references with the counts, as these will be. */
int check_compare(struct check *check, enum outcome outcome);
/* Makes them so. */
int check_write_counts(struct check *check, enum outcome outcome);

/* copied.c */

/* Does an entry without COPIED lack it, where the count is one? */
bool check_lacks_copied(const struct check *check, uint64_t references);
/* Does the task with the COPIED flags that lead into the window. */
int check_copied(struct check *check, enum copied_task task);

/* blocks.c */

int check_load_refcount_table(struct check *check);
/* Does this entry of the refcount table lead to a block? */
bool check_has_block(const struct check *check, uint64_t index);
/* Does something else lie in that block's cluster?  Then nobody may write
   counts there. */
bool check_is_block_shared(const struct check *check, uint64_t index);
/* Counts the references to table and blocks. */
int check_count_blocks(struct check *check);
/* Blocks in the window that something else uses, too; and the table. */
void check_find_shared_blocks(struct check *check);
/* Notes that a cluster without a block has references. */
void check_need_block(struct check *check, uint64_t cluster);
/* Lays out the missing blocks and writes them, empty, where nobody looks. */
int check_make_blocks(struct check *check);
/* Makes it count. */
int check_link_blocks(struct check *check);

/* space.c */

/* An entry's bytes lie, or end, behind the end of the file. */
int check_count_behind(struct check *check, uint64_t offset, uint64_t length);
/* So do those of a list or a root.  0 or -ENOMEM. */
int check_lose_area(struct check *check, uint64_t offset, uint64_t length);
/* The first of so many clusters behind all that is in use.  Changes the
   window.  0 or a negative error. */
int check_find_space(struct check *check, uint64_t wanted, uint64_t *first);
/* They become part of the image, before anything is written about them. */
void check_take_space(struct check *check, uint64_t first, uint64_t clusters);

/* repair.c */

/* Takes bits out of the header. */
int check_clear_bits(struct check *check, uint64_t incompatible,
		     uint64_t autoclear);
int check_repair(struct check *check);

#endif /* QCOW_CHECK_CHECK_H */
