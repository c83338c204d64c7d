/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Inside the engine: what an image is in memory, and the prototypes of its
 * parts, file by file.
 *
 * What the guest wrote and the file's tables do not tell yet lives in two
 * dirty sets of assignments (L1[i], L2[g], refcount[c] = value): one active,
 * one frozen by the checkpoint under way.  The cache and the arrays below
 * hold what the *file* says.  So a look-up goes active, frozen, file; a
 * cached slice is always clean; an allocation is free if the file's count is
 * zero and no dirty set names the cluster (R9).
 *
 * The journal's rules R1 to R17 stand in the file JOURNAL-RULES beside this one; the code cites them.
 */
#ifndef QCOW_INTERNAL_H
#define QCOW_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>
#include "bits.h"
#include "format.h"
#include "qcow.h"

/* file.c: the seam under the engine, full-length I/O or an error */

/* The tests' own disk: the same calls as the file's, in any order. */
struct qcow_file_ops {
	int (*read)(void *disk, void *buffer, uint64_t offset, size_t length);
	int (*write)(void *disk, const void *buffer, uint64_t offset,
		     size_t length);
	int (*sync)(void *disk);
	int (*punch)(void *disk, uint64_t offset, uint64_t length);
	uint64_t (*size)(void *disk);
};

enum qcow_event {
	QCOW_EVENT_GROUP_COPIED,	/* body in the journal, not sealed */
	QCOW_EVENT_GROUP_SEALED,
	QCOW_EVENT_GROUPS_DROPPED,
};

struct qcow_test_hooks {
	const struct qcow_file_ops *ops;	/* NULL: the real file */
	void *disk;
	void (*event)(void *opaque, enum qcow_event event);
	void *opaque;
	bool no_fence;		/* what happens without R14's fence byte? */
	bool block_device;	/* the disk is like one */
};

struct file {
	int fd;
	uint32_t alignment;	/* of offset, length and memory */
	bool direct;
	bool block_device;	/* has a fixed size, never reads as zero */
	struct qcow_identity identity;
	const struct qcow_test_hooks *test;
};

int file_open(struct file *file, const char *path,
	      const struct qcow_options *options, struct qcow_error *error);
void file_close(struct file *file);
bool file_is(const struct file *file, const struct qcow_identity *identity);
/* -ESTALE: it is another; nothing has an identity of zeros, so any will do. */
int file_check(const struct file *file, const struct qcow_identity *identity,
	       struct qcow_error *error);
/* Past the end of the file, zeros are read. */
int file_read(struct file *file, void *buffer, uint64_t offset, size_t length);
/* Whatever the alignment; the others want it kept. */
int file_read_loosely(struct file *file, void *buffer, uint64_t offset,
		      size_t length);
int file_write(struct file *file, const void *buffer, uint64_t offset,
	       size_t length);
int file_write_zeroes(struct file *file, uint64_t offset, uint64_t length);
/* A table, in the host's byte order. */
int file_write_entries(struct file *file, const uint64_t *entries,
		       uint32_t count, uint64_t offset);
int file_sync(struct file *file);
/* Gives space back.  -EOPNOTSUPP where that does not exist. */
int file_punch(struct file *file, uint64_t offset, uint64_t length);
int file_size(struct file *file, uint64_t *size);
/* For O_DIRECT; free() frees it. */
void *file_buffer(size_t length);

/* lock.c */

/* The fence, then QEMU's bytes, as the options say (R14). */
int lock_image(struct file *file, const struct qcow_options *options,
	       struct qcow_error *error);
/* Has somebody else the right to write to it? */
bool lock_is_written(const struct file *file);

/* header.c */

struct header {
	unsigned int version;
	uint32_t cluster_bits;
	uint64_t size;			/* of the virtual disk, bytes */
	uint32_t crypt_method;
	uint32_t l1_size;		/* entries */
	uint64_t l1_offset;
	uint64_t refcount_table_offset;
	uint32_t refcount_table_clusters;
	uint32_t nb_snapshots;
	uint64_t snapshots_offset;
	uint64_t incompatible, compatible, autoclear;
	uint32_t refcount_order;
	uint32_t length;		/* bytes, without extensions */
	uint8_t compression_type;
	uint64_t backing_offset;
	uint32_t backing_size;
	uint32_t extensions_end;	/* offset of the end mark */
	uint32_t life_offset;		/* of our extension, 0: none */
	uint64_t nonce;			/* what it says */
	uint8_t boot_id[16];
};

/* The clusters from byte 0 that hold the header and its extensions. */
struct header_area {
	uint8_t *bytes;			/* as they stand in the file */
	uint32_t length;		/* a multiple of the alignment */
};

int header_read(struct file *file, struct header *header,
		struct header_area *area, struct qcow_error *error);
/* The bytes that every field is in, whatever the format; free() frees them. */
int header_read_first(struct file *file, uint8_t **bytes,
		      struct qcow_error *error);
/* Walks the extensions; *at begins as header->length. */
bool header_next_extension(const struct header *header,
			   const struct header_area *area, uint32_t *at,
			   uint32_t *type, uint32_t *length,
			   const uint8_t **data);
int support_check(const struct header *header,
			 const struct header_area *area, bool read_only,
			 struct qcow_error *error);
/* What a feature bit is called, if anybody knows that. */
void feature_describe(const struct header *header,
		      const struct header_area *area,
		      enum qcow_feature_kind kind, unsigned int bit,
		      struct qcow_feature *feature);
/* All that are set; returns how many. */
unsigned int features_list(const struct header *header,
			   const struct header_area *area,
			   struct qcow_feature features[QCOW_FEATURES_MAX]);
/* Where extensions end at the latest: at the backing name or the cluster. */
uint32_t header_extensions_limit(const struct header *header);
/* The name of the backing file, if backing_offset says that there is one. */
int header_read_backing(struct file *file, const struct header *header,
			char name[MAX_BACKING_NAME + 1]);
/* Its format, or an empty string. */
void header_backing_format(const struct header *header,
			   const struct header_area *area, char format[64]);

/* life.c: what is written to the header */

#define EXTENSION_HEAD	8u		/* type, length */
#define LIFE_SIZE	24u		/* nonce, boot id */

/* Can the image carry our mark (R12), wholly or at least the bit? */
bool header_has_room(const struct header *header);
int header_write_life(struct file *file, struct header *header,
		      struct header_area *area, uint64_t nonce,
		      const uint8_t boot_id[16]);
int header_clear_life(struct file *file, struct header *header,
		      struct header_area *area);
/* Writes where the refcount table is, as *header says. */
int header_write_refcount_table(struct file *file, const struct header *header,
				struct header_area *area);
/* Writes where the snapshot table is, likewise. */
int header_write_snapshots(struct file *file, const struct header *header,
			   struct header_area *area);
/* Makes all extensions of a type mean nothing. */
int header_void_extensions(struct file *file, const struct header *header,
			   struct header_area *area, uint32_t type);
/* Sets bits of incompatible_features. */
int header_write_incompatible(struct file *file, struct header *header,
			      struct header_area *area, uint64_t bits);

/* bitmaps.c */

/* How many there are, if they count. */
unsigned int bitmaps_count(const struct header *header,
			   const struct header_area *area);
/* Marks every persistent bitmap as in use, durably, if the image has any.  Not
   under the lock; the caller has the right to write the header. */
int bitmaps_set_in_use(struct qcow_image *image);

/* dirty.c: a dirty set */

enum key_kind {
	KEY_L1 = 1,		/* index: L1 index; value: entry */
	KEY_L2,			/* index: word of the L2 tables, of which an
				   extended entry has two; value: the word */
	KEY_REFCOUNT,		/* index: host cluster; value: count */
};

/* Sorts by kind, then by index. */
static inline uint64_t dirty_key(enum key_kind kind, uint64_t index)
{
	return (uint64_t)kind << 60 | index;
}

static inline enum key_kind key_kind(uint64_t key)
{
	return key >> 60;
}

static inline uint64_t key_index(uint64_t key)
{
	return key & ((1ull << 60) - 1);
}

struct assignment {
	uint64_t key;
	uint64_t value;
};

struct dirty_set {
	struct assignment *list;	/* in order of arrival */
	uint32_t *index;		/* place in the list plus one; 0: none */
	uint32_t mask;			/* slots of index, less one */
	uint32_t used;
	uint32_t max_used;
};

int dirty_create(struct dirty_set *set, uint32_t max_used);
void dirty_destroy(struct dirty_set *set);
bool dirty_get(const struct dirty_set *set, uint64_t key, uint64_t *value);
void dirty_put(struct dirty_set *set, uint64_t key, uint64_t value);
void dirty_clear(struct dirty_set *set);
/* Copies the assignments out, sorted by key; returns how many. */
uint32_t dirty_sort(const struct dirty_set *set, struct assignment *sorted);

/* journal.c, journal-file.c */

#define GROUP_WORDS		128	/* the largest body of a group */
#define GROUP_RUN		4095u	/* the longest run of one assignment */

/* The assignments of one change (R3), as they go into the journal. */
struct group {
	unsigned int words;
	uint64_t body[GROUP_WORDS];
};

/* What a journal's assignment says; each covers a run of count indices. */
enum record_kind {
	RECORD_L1 = 1,		/* L1[index] = value */
	RECORD_L2,		/* L2[index + i] = value */
	RECORD_L2_DATA,		/* L2[index + i] = value + i * cluster size */
	RECORD_L2_BITMAP,	/* its second word, if extended = value */
	RECORD_REFCOUNT,	/* refcount[index + i] = value */
	RECORD_REFCOUNT_TABLE,	/* header: offset = value, index clusters */
};

struct record {
	enum record_kind kind;
	uint32_t count;
	uint64_t index;
	uint64_t value;
};

/* The journal's first page. */
struct journal_header {
	uint64_t magic;
	uint64_t words;			/* of the ring */
	struct qcow_identity identity;	/* of the image */
	uint64_t nonce;			/* of the life */
	uint8_t boot_id[16];
	_Atomic uint64_t start;		/* position of the oldest group */
	_Atomic uint64_t lease;		/* CLOCK_REALTIME, ns: we do not touch
					   the image later than this */
	uint32_t marked;		/* the image carries our mark */
};

struct journal {
	struct journal_header *header;	/* mapped, shared */
	uint64_t *ring;			/* mapped, shared */
	uint64_t words;			/* capacity of the ring */
	uint64_t end;			/* position after the last group */
	uint64_t reserved;		/* words promised to links (R16) */
	size_t mapped;			/* bytes */
	char *path;
	bool created;			/* by this open */
	const struct qcow_test_hooks *test;
};

/* Finds the image's journal or makes one.  A read-only image has one only
   if there is something to replay; it is not changed then. */
int journal_open(struct qcow_image *image, const struct qcow_options *options,
		 struct qcow_error *error);
/* Applies what the journal holds (R11). */
int journal_replay(struct qcow_image *image, struct qcow_error *error);
/* May there be one, not replayed yet, that knows more than the image? */
bool journal_is_pending(const struct file *file, const struct header *header,
			const char *directory);
/* removes: nothing in it is needed any more. */
void journal_close(struct journal *journal, bool remove);
void journal_set_marked(struct journal *journal);
uint64_t journal_nonce(const struct journal *journal);
const uint8_t *journal_boot_id(const struct journal *journal);
void journal_heartbeat(struct journal *journal);
uint64_t journal_used(const struct journal *journal);
bool journal_has_room(const struct journal *journal, uint64_t words);
/* The group at a position; false where the sealed prefix ends. */
bool journal_read_group(const struct journal *journal, uint64_t position,
			struct group *group);
void journal_append(struct journal *journal, const struct group *group);
void journal_drop(struct journal *journal, uint64_t position);
void group_add(struct group *group, const struct record *record);
/* The same for one index. */
void group_assign(struct group *group, enum record_kind kind, uint64_t index,
		  uint64_t value);
void group_next(const struct group *group, unsigned int *word,
		struct record *record);

/* check.c */

/* Rebuilds the refcounts of a dirty image and clears that bit; the header
   has to be read again. */
int check_rebuild(struct file *file, const struct qcow_options *options,
		  struct qcow_error *error);

/* cache.c */

enum slice_type {
	SLICE_L2,		/* entries, 64 bits each */
	SLICE_REFCOUNT,		/* counts, 1 << refcount_order bits each */
};

/* A piece of a table as the file has it, in host byte order. */
struct slice {
	enum slice_type type;
	enum slice_state {
		SLICE_EMPTY,
		SLICE_LOADING,
		SLICE_VALID,
	} state;
	bool used;		/* since the clock's hand last passed */
	uint32_t pins;		/* must stay: the checkpoint changes it */
	uint64_t offset;	/* in the file */
	int32_t next;		/* in its hash chain, -1: last */
	void *data;
};

struct cache {
	struct slice *slices;
	int32_t *buckets;
	uint32_t count;			/* a power of two */
	uint32_t slice_size;		/* bytes */
	uint32_t hand;
	void *arena;
	uint64_t hits, misses;
};

int cache_create(struct cache *cache, size_t bytes, uint32_t slice_size);
void cache_destroy(struct cache *cache);
struct slice *cache_find(struct cache *cache, enum slice_type type,
			 uint64_t offset);
int cache_load(struct qcow_image *image, enum slice_type type, uint64_t offset,
	       struct slice **slice);
void cache_forget(struct cache *cache, uint64_t offset, uint64_t length);
/* Between the file's byte order and the host's, in place. */
void slice_swap(enum slice_type type, unsigned int refcount_order, void *data,
		size_t length);

/* image.c */

/*
 * Lock order: a guest range, then image->lock; never two ranges; never any
 * I/O under image->lock.  Fields without a remark never change after open.
 */
struct qcow_image {
	struct file file;
	char *path;			/* resolved */
	unsigned int file_index;	/* in qcow_fds() */
	bool external;			/* has a data file */
	bool raw_data;			/* and that alone is the disk, too */
	struct file data_file;		/* behind file in qcow_fds() */
	char *data_path;		/* resolved */
	struct file *data;		/* where the guest's bytes are */
	uint32_t alignment;		/* that of its file or, if greater, of
					   what lies under it */
	struct backing *backing;	/* NULL: none */
	struct unpacker *unpacker;	/* of compressed clusters */
	const struct qcow_image *overlay; /* what it lies under; NULL: none */
	bool read_only;
	unsigned int version;
	uint32_t cluster_bits;
	bool extended;			/* L2 entries have subclusters */
	uint32_t part_bits;		/* log2 bytes of what is allocated at
					   once: a cluster or subcluster */
	uint32_t l2_bits;		/* log2 of entries per L2 table */
	uint32_t refcount_order;
	uint32_t block_bits;		/* log2 of counts per refcount block */
	uint64_t size;			/* bytes, a multiple of QCOW_SECTOR */
	uint64_t clusters;		/* of the guest */
	uint32_t l1_size;
	uint64_t l1_offset;
	bool inline_checkpoint;
	void (*notice)(void *opaque, const char *line);
	void *opaque;

	pthread_mutex_t lock;		/* protects all from here on */
	pthread_cond_t changed;		/* what a blocking call waits for */
	unsigned int waiters;		/* on changed */

	struct header header;
	struct header_area header_area;	/* of him who has header_busy */
	bool header_busy;		/* somebody writes the header */
	bool marked;			/* our mark is in the image (R12) */
	bool heartbeat;			/* it could not be: R12's second way */

	uint64_t *l1;			/* as the file has it */
	uint64_t *refcount_table;	/* likewise */
	uint32_t refcount_table_size;	/* entries */
	uint64_t *tables;		/* where L2 tables and refcount blocks
					   were at the open, in order; none of
					   them is freed in a life */
	uint64_t nr_tables;
	bool growing;			/* somebody grows the refcounts */
	bool table_busy;		/* somebody makes an L2 table */
	bool window_busy;		/* somebody writes less than a unit */
	bool table_moved;		/* the header does not say so yet */
	struct cache cache;

	struct qcow_range ranges;	/* list head, in order of arrival */
	struct qcow_reservation reservations; /* list head: host clusters that
					   writes in flight will use; never in
					   a refcount, so death forgets them
					   (R1) */
	uint64_t high_water;		/* host clusters from here on were
					   never used: they read as zero */
	uint64_t cursor;		/* no free cluster is known below */
	uint64_t max_clusters;		/* of the host file */

	struct journal journal;
	struct dirty_set active;
	struct dirty_set frozen;
	bool freezing;			/* frozen holds something */
	uint32_t max_dirty;		/* assignments in the active set; after
					   a replay there may be twice as many */
	uint32_t reserved_dirty;	/* promised to links (R16) */

	/* checkpoint.c */
	pthread_t thread;
	bool has_thread;
	bool stopping;
	pthread_cond_t work;
	bool checkpoint_busy;		/* somebody is making one */
	uint64_t freezes;		/* checkpoints that froze so far */
	uint64_t checkpoints;		/* ... and that are complete */
	uint64_t wanted;		/* run until this many are complete */
	uint64_t failures;		/* attempts that failed */
	int last_error;
	uint64_t frozen_end;		/* S: the journal's end at the freeze */
	struct assignment *sorted;	/* the frozen set, sorted; only the
					   checkpoint uses it */
	void *bounce;			/* one slice; likewise */
	bool sync_lost;			/* a buffered sync failed (R17) */
	bool corrupt;			/* met what cannot be; writes fail */
	bool told_under;		/* that something under it is so */
	bool punch_unsupported;
	uint64_t groups;		/* appended, statistics */
};

/* Why a map call could not answer at once, and what would help. */
struct need {
	enum need_kind {
		NEED_RETRY,		/* nothing: call again */
		NEED_SLICE,		/* load slice (type, offset) */
		NEED_TABLE,		/* an L2 table for L1 index */
		NEED_OWN_TABLE,		/* that is ours alone, likewise */
		NEED_COPY,		/* guest cluster index elsewhere */
		NEED_BLOCK,		/* a refcount block for table index */
		NEED_ROOM,		/* a checkpoint */
		NEED_MARK,		/* our mark in the image */
	} kind;
	enum slice_type type;
	uint64_t index;			/* or offset */
	struct qcow_image *image;	/* which of a chain needs it */
};

int fail(struct qcow_error *error, int code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
void image_notice(struct qcow_image *image, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
/* Under the lock: writes our mark before a life's first write (R12). */
int image_mark(struct qcow_image *image);
/* R12's second way: who writes to the image says so before.  With or without
   image->lock. */
void image_beat(struct qcow_image *image);
/* Under the lock: the right to write the header. */
void image_take_header(struct qcow_image *image);
void image_release_header(struct qcow_image *image);
/* Not under the lock: an inconsistency was met.  Marks the image as corrupt
   and lets no further write into it. */
void image_set_corrupt(struct qcow_image *image);
/* qcow_fds() from an index on; returns how many in all. */
unsigned int image_fds(const struct qcow_image *image, int *fds,
		       unsigned int max, unsigned int count);
/* The index in qcow_fds() of what lies under the image. */
unsigned int image_next_index(const struct qcow_image *image);
/* Opens an image that lies under another, read-only. */
int image_open_under(struct qcow_image *overlay, const char *path,
		     const struct qcow_options *options,
		     struct qcow_image **image, struct qcow_error *error);
/* Under the lock: wait for a change, and tell of one. */
void image_wait(struct qcow_image *image);
void image_wake(struct qcow_image *image);

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
	return 1ull << image->cluster_bits;
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
	struct qcow_image *locked_image \
		__attribute__((cleanup(image_unlock), unused)) = \
			image_lock(image)

/* load.c: at open */

int load_l1(struct qcow_image *image, struct qcow_error *error);
int load_refcount_table(struct qcow_image *image, struct qcow_error *error);
/* Is every entry of both sound, and every table at a place of its own? */
int load_check(struct qcow_image *image, struct qcow_error *error);

/* range.c: guest ranges; under the lock */

bool range_conflicts(struct qcow_image *image, uint64_t first, uint64_t last,
		     bool exclusive);
void range_enter(struct qcow_image *image, struct qcow_range *range,
		 uint64_t first, uint64_t last, bool exclusive);
void range_enter_wait(struct qcow_image *image, struct qcow_range *range,
		      uint64_t first, uint64_t last, bool exclusive);
void range_leave(struct qcow_image *image, struct qcow_range *range);

/*
 * From here on functions are called under the lock unless said otherwise;
 * those that may block drop it while they wait or do I/O.
 */

/* cluster.c */

enum cluster_kind {
	CLUSTER_UNALLOCATED,	/* reads as what lies under the image */
	CLUSTER_ZERO,		/* reads as zero, no host cluster */
	CLUSTER_ZERO_ALLOCATED,	/* reads as zero, keeps a host cluster */
	CLUSTER_DATA,
	CLUSTER_COMPRESSED,
};

struct cluster {
	enum cluster_kind kind;
	bool has_table;		/* its L2 table exists */
	bool own_table;		/* and its count is one */
	bool copied;		/* the host cluster's count is one */
	bool has_host;		/* a host cluster is allocated */
	uint64_t entry;
	uint64_t bitmap;	/* of an extended one */
	uint64_t host;		/* its offset */
};

/* Does this cluster belong to the header, the L1 or the refcount table? */
bool cluster_is_top_table(const struct qcow_image *image, uint64_t offset);
/* Or is it an L2 table or a refcount block that the open has found? */
bool cluster_is_table(const struct qcow_image *image, uint64_t offset);
uint64_t cluster_l1_entry(const struct qcow_image *image, uint64_t index);
/* What guest cluster it is, or what its subcluster sub is.  -EUCLEAN: what
   the tables say cannot be. */
int cluster_look_up(struct qcow_image *image, uint64_t guest, unsigned int sub,
		    struct cluster *cluster, struct need *need);
/* Does an unallocated guest cluster read as what lies under the image? */
bool cluster_shows_under(const struct qcow_image *image, uint64_t guest);
/* cluster_look_up(), providing what it needs; may block. */
int cluster_look_up_wait(struct qcow_image *image, uint64_t guest,
		     struct cluster *cluster);
/* map.c */

/* Does what a look-up said it needs.  May block. */
int map_provide(struct qcow_image *image, const struct need *need);
/* Adds to a mapping, making its last extent longer if that goes; -ENOBUFS:
   there is no room.  reserves: its clusters will be added to a reservation. */
int map_add_extent(struct qcow_io *io, const struct qcow_extent *extent,
		   bool reserves);
/* The map calls for one who has entered the range; they map as much of it
   as can be at once: io->length says how much. */
int map_read(struct qcow_image *image, struct qcow_io *io, uint64_t offset,
	     uint32_t length, struct need *need);
int map_write(struct qcow_image *image, struct qcow_io *io, uint64_t offset,
	      uint32_t length, struct need *need);
/* Goes on with a mapped read in an image that lies under another. */
int map_continue(struct qcow_image *image, struct qcow_io *io, uint64_t offset,
		 uint32_t length, struct need *need);
bool map_has_fresh(const struct qcow_io *io);
/* Ends a map_write(): its fresh extents become part of the disk, or not. */
void map_end(struct qcow_image *image, struct qcow_io *io, bool link);

/* reference.c */

/* The path of a file that an image names, if it may be opened (P6); the
   caller frees it. */
int reference_resolve(const struct qcow_image *image, const char *what,
		      const char *name, const struct qcow_options *options,
		      char **path, struct qcow_error *error);
/* The same for the image at path from, that lies under top or is it. */
int reference_resolve_from(const char *top, const char *from,
			   const char *what, const char *name,
			   const char *const *directories, char **path,
			   struct qcow_error *error);

/* info.c */

/* Opens a file to read its header; area->bytes is to be freed. */
int info_open(const char *path, struct file *file, struct header *header,
	      struct header_area *area, struct qcow_error *error);
/* What an open file says of itself, and why it would be refused as a layer;
   an empty text: it would not. */
int info_read(struct file *file, struct qcow_info *info,
	      struct qcow_error *refused, struct qcow_error *error);

/* data.c: an external data file; not under the lock */

/* What the header calls it. */
int data_find_name(const struct header *header, const struct header_area *area,
		   char *name, size_t size, struct qcow_error *error);
/* Opens it, if the image has one. */
int data_open(struct qcow_image *image, const struct qcow_options *options,
	      struct qcow_error *error);
/* Where the data file alone is the disk, too, this becomes zero there. */
int data_make_zero(struct qcow_image *image, uint64_t offset, uint64_t length);

/* layers.c: the files of an image besides its own */

/* Is this the file that the options know at that place, which is its place
   in qcow_fds()? */
int layers_check_file(const struct qcow_options *options, unsigned int index,
		      const struct file *file, struct qcow_error *error);
/* Of the image on top, when all that lies under it is open: are that all
   that the options know, and has their key a use? */
int layers_check_all(const struct qcow_image *image,
		     const struct qcow_options *options,
		     struct qcow_error *error);
/* Adds a file at the place count; returns the next. */
unsigned int layers_add(struct qcow_layer *layers, unsigned int max,
			unsigned int count, const struct qcow_layer *layer);
/* Those of an image, likewise. */
unsigned int layers_of_image(const struct qcow_image *image,
			     struct qcow_layer *layers, unsigned int max,
			     unsigned int count);

/* backing.c: what lies under an image; read-only, and never changes */

/* May anything lie under an image that has so many over it? */
int backing_check_depth(unsigned int depth, struct qcow_error *error);
/* Can what lies at path be read in this format? */
int backing_check_format(const char *format, const char *path,
			 struct qcow_error *error);
/* Opens what the header of the image names, and what that names. */
int backing_open(struct qcow_image *image, const struct qcow_options *options,
		 struct qcow_error *error);
/* Of an image that is legacy itself: then all of it lies under it. */
int backing_open_legacy(struct qcow_image *image,
			const struct qcow_options *options,
			struct qcow_error *error);
/* Is the file one of those that image and its overlays are? */
int backing_check_loop(const struct qcow_image *image,
		       const struct file *file, const char *path,
		       struct qcow_error *error);
void backing_close(struct backing *backing);
/* Is there, at the bottom, a legacy image that needed a key? */
bool backing_is_encrypted(const struct backing *backing);
/* In bytes; behind that, the range of an image reads as zero. */
uint64_t backing_size(const struct backing *backing);
/* Adds what lies there under a range of an image to a mapped read. */
int backing_map(struct backing *backing, struct qcow_io *io, uint64_t offset,
		uint32_t length, struct need *need);
/* Adds what lies there as layers_add() does. */
unsigned int backing_layers(const struct backing *backing,
			    struct qcow_layer *layers, unsigned int max,
			    unsigned int count);
/* Fills in the descriptors from their index on; returns how many in all. */
unsigned int backing_fds(const struct backing *backing, int *fds,
			 unsigned int max, unsigned int count);

/* cow.c */

/* A write into a guest cluster that needs its bytes around copied, or its
   host cluster replaced.  The range is entered; not under the lock. */
int cow_write(struct qcow_image *image, const void *buffer, uint64_t offset,
	      uint32_t length);
/* Under the lock: adds to a group the lowered counts of what a guest cluster
   refers to. */
int cow_add_released(struct qcow_image *image, const struct cluster *cluster,
		     struct group *group, struct need *need);

/* io.c; not under the lock */

int io_check_range(const struct qcow_image *image, uint64_t offset,
		   uint64_t length);
/* What the guest is told of an error, and the host's log of its cause. */
int io_explain(struct qcow_image *image, int ret);
/* Reads for one who has entered the range. */
int io_read_entered(struct qcow_image *image, void *buffer, uint64_t offset,
		    size_t length);

/* table.c: L2 tables; all may block */

/* Makes one, if there is none. */
int table_create(struct qcow_image *image, uint64_t l1_index);
/* Makes the table ours alone, so that its entries may be changed. */
int table_own(struct qcow_image *image, uint64_t l1_index);

/* refcount.c */

int refcount_get(struct qcow_image *image, uint64_t cluster, uint64_t *count,
		 struct need *need);
uint64_t refcount_in_slice(const struct qcow_image *image, const void *data,
			   uint64_t index);
void refcount_put_in_slice(const struct qcow_image *image, void *data,
			   uint64_t index, uint64_t count);
uint64_t refcount_max(const struct qcow_image *image);
/* The slice of the refcount block that holds a cluster's count, and the
   count's index in it; -ENOENT if there is no such block. */
int refcount_locate(const struct qcow_image *image, uint64_t cluster,
		    uint64_t *offset, uint64_t *index);
int refcount_find_free(struct qcow_image *image, uint64_t *cluster,
		       struct need *need);
/* refcount_get() and a reservation of one cluster, providing what they need;
   may block. */
int refcount_get_wait(struct qcow_image *image, uint64_t cluster,
		      uint64_t *count);
int refcount_reserve_wait(struct qcow_image *image,
			  struct qcow_reservation *reservation);
/* Lowers the cursor to the first free cluster below end.  May block. */
void refcount_sweep(struct qcow_image *image, uint64_t end);
/* Begins a reservation with a free cluster, or adds the next one to it.  It
   is in no refcount: a group will say so, or death forgets it (R1). */
void refcount_reserve(struct qcow_image *image,
		      struct qcow_reservation *reservation, uint64_t cluster);
void refcount_release(struct qcow_image *image,
		      struct qcow_reservation *reservation, bool used);

/* grow.c */

int grow_refcounts(struct qcow_image *image, uint64_t table_index);
int grow_write_header(struct qcow_image *image);

/* append.c */

/* R16: room for a group of so many words, of so many assignments. */
bool append_has_room(const struct qcow_image *image, uint64_t words,
		     uint64_t assignments);
void append_reserve_room(struct qcow_image *image, uint64_t words,
			 uint64_t assignments);
void append_release_room(struct qcow_image *image, uint64_t words,
			 uint64_t assignments);
/* Blocks until there is room, and reserves it. */
int append_wait_room(struct qcow_image *image, uint64_t words,
		     uint64_t assignments);
/* Time for a checkpoint, so that writers need not wait for room. */
bool append_is_half_full(const struct qcow_image *image);
/* Puts a record's assignments into the active set. */
void append_publish(struct qcow_image *image, const struct record *record);
/* Appends a group to the journal, then publishes it (R3). */
void append_group(struct qcow_image *image, const struct group *group);

/* writeback.c: for the checkpoint; may block */

enum phase {
	RAISE,			/* refcounts that go up (R5) */
	LINK,			/* L2 entries (R6) */
	LOWER,			/* refcounts that go down (R7) */
};

int writeback_slices(struct qcow_image *image, const struct assignment *from,
		     const struct assignment *end, enum phase phase);
int writeback_l1(struct qcow_image *image, const struct assignment *from,
		 const struct assignment *end);
/* Punches holes where counts became zero. */
void writeback_punch(struct qcow_image *image, const struct assignment *from,
		     const struct assignment *end);

/* checkpoint.c */

/* Blocks until a checkpoint that freezes after now is complete. */
int checkpoint_wait(struct qcow_image *image);
bool checkpoint_is_dirty(const struct qcow_image *image);
int checkpoint_start_thread(struct qcow_image *image);
/* Not under the lock. */
void checkpoint_stop_thread(struct qcow_image *image);

#endif /* QCOW_INTERNAL_H */
