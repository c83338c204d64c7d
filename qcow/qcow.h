/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The qcow2 engine: open an image, read and change what the guest sees of
 * it, close it.
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
 */
#ifndef QCOW_H
#define QCOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define QCOW_SECTOR	 512u
#define QCOW_IO_EXTENTS	 16
#define QCOW_FILES_MAX	 64 /* an image and what lies under it */
#define QCOW_JOURNAL_DIR "/run/ublk-qcow2"

struct qcow_image;

/* Why an open failed: one line, without the image's name, without newline. */
struct qcow_error {
	char text[480];
};

enum qcow_cache {
	QCOW_CACHE_NONE,      /* O_DIRECT; buffered, with a notice, where
				 the file system has none */
	QCOW_CACHE_WRITEBACK, /* the host's page cache */
};

enum qcow_locking {
	QCOW_LOCK_TEST, /* take QEMU's lock bytes and test that nobody
			   else uses the image */
	QCOW_LOCK_JOIN, /* take them beside a holder of our own that
			   has tested already (the supervisor) */
};

/* Which file an image is, whatever its name.  An inode that is used again
   has another birth. */
struct qcow_identity {
	uint64_t device, inode; /* both 0: any */
	uint64_t birth;		/* CLOCK_REALTIME, ns; 0: not known */
};

/* A file that belongs to an image besides its own: what lies under it, or a
   data file. */
struct qcow_layer {
	const char *path; /* resolved */
	struct qcow_identity identity;
	bool written; /* with the image, or merged into; the
			 others are only read */
};

/*
 * What an image may name, for an image is input (P6).  A backing file may be
 * any regular file in the directory of the image that was asked for, or lie
 * below one of directories; a device is named by a directory only, and an
 * image on a device has no directory of its own.  A data file is written like
 * the image; so it must be the very file data_file, or lie below one of
 * data_directories.  Lists end with NULL and may be NULL.
 */
struct qcow_references {
	const char *const *directories;
	const char *const *data_directories;
	const char *data_file;
	bool not_beside; /* nothing in the image's own directory */
	bool none;	 /* nothing at all */
};

struct qcow_options {
	bool read_only;
	enum qcow_cache cache;
	enum qcow_locking locking;

	/* With QCOW_LOCK_JOIN: asked when the bytes have been taken; does the
	   holder whose test we rely on still live?  May be NULL. */
	bool (*holder_lives)(void *opaque);

	/* Another file under the image's name is refused. */
	struct qcow_identity identity;

	/* So many layers of which qcow_layers() told at an earlier open: it
	   must be the same files.  With QCOW_LOCK_JOIN the holder of the
	   image's locks has tested and holds theirs, too.  NULL: not known,
	   what is written of them is tested. */
	const struct qcow_layer *layers;
	unsigned int nr_layers;

	/* The image has been locked without a gap since the journal's owner
	   died; this decides where neither the mark nor the files' times can
	   (R12). */
	bool unbroken;

	/* Open although acknowledged writes may be lost: a journal that is
	   gone or does not fit is given up. */
	bool force;

	/* Holds the AES key of the legacy image at the bottom; refused if
	   there is none that needs it.  NULL: no key. */
	const char *key_file;

	/* A directory on a tmpfs; NULL stands for QCOW_JOURNAL_DIR. */
	const char *journal_dir;

	/* Closing leaves the journal, with nothing in it that is needed:
	   qcow_forget_journal() removes it. */
	bool journal_stays;

	/* Which files the image may name.  NULL: backing files beside it.
	   Without a meaning where layers are known: then it is those. */
	const struct qcow_references *references;

	/* A layer that is opened for writing, for qcow_merge_open(): its
	   place among qcow_layers(), counted from 1.  0: none. */
	unsigned int merge_into;

	/* Sizes in bytes; 0 stands for the default. */
	size_t journal_size;
	size_t cache_size;

	/* No checkpoint thread: a caller that needs a checkpoint makes it
	   (tests). */
	bool inline_checkpoint;

	/* One line, without newline, about something worth telling that is
	   not an error.  Called from any thread but never from
	   qcow_map_read(), qcow_map_write() or qcow_finish(). */
	void (*notice)(void *opaque, const char *line);
	void *opaque;

	/* NULL, or the tests' own file layer and observer (file.h). */
	const struct qcow_test_hooks *test;

	/* Private to the engine: opens read-only and without locks, to find
	   out whether the image could be opened. */
	enum qcow_look {
		QCOW_LOOK_NONE,
		QCOW_LOOK_READER,
		QCOW_LOOK_WRITER,
	} look;
};

/* The engine's threads take no signal but this one, which the program may use
   to have something done on each of its threads. */
#define QCOW_THREAD_SIGNAL SIGRTMAX

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

/* identity.c */

/* Which file a path leads to. */
int qcow_identify_path(const char *path, struct qcow_identity *identity);

/* layers.c */

/* The files that belong to the image, from the top down, at most
   QCOW_FILES_MAX; paths belong to the image.  Returns how many there are;
   fills at most max. */
unsigned int qcow_layers(const struct qcow_image *image,
			 struct qcow_layer *layers, unsigned int max);

/* info.c: looks at an image, also at one that qcow_open() refuses.
   They take no locks and change nothing; of an image that somebody writes to
   they may tell yesterday's news. */

enum qcow_feature_kind {
	QCOW_INCOMPATIBLE,
	QCOW_COMPATIBLE,
	QCOW_AUTOCLEAR,
};

#define QCOW_FEATURES_MAX (3 * 64)

struct qcow_feature {
	enum qcow_feature_kind kind;
	unsigned int bit;
	bool known;    /* to us; else it is the image that
			  gives it a name */
	char name[47]; /* empty: nobody knows */
};

/* What the header says.  Texts are the image's and may hold anything. */
struct qcow_info {
	unsigned int version;  /* 1: QCOW, with little of this */
	uint64_t size;	       /* virtual, bytes */
	uint64_t file_size;    /* bytes */
	uint64_t disk_usage;   /* bytes that the file takes */
	uint32_t cluster_size; /* bytes */
	unsigned int refcount_bits;
	uint64_t incompatible;
	uint64_t compatible;
	uint64_t autoclear;
	unsigned int compression_type; /* 0: deflate, 1: zstd */
	unsigned int snapshots;
	unsigned int bitmaps;
	unsigned int crypt_method; /* 0: none, 1: AES, 2: LUKS */
	bool has_data_file;
	char data_file[1024];
	bool has_backing;
	char backing[1024];
	char backing_format[64];
	bool has_journal; /* it may know more than the image */
	unsigned int nr_features;
	struct qcow_feature features[QCOW_FEATURES_MAX]; /* that are set */
};

/* Reads the header of an image and nothing else. */
int qcow_read_info(const char *path, struct qcow_info *info,
		   struct qcow_error *error);

/* snapshots.c */

struct qcow_snapshot {
	const char *id, *name;
	uint32_t date;		/* seconds since 1970 */
	uint32_t date_ns;	/* and nanoseconds */
	uint64_t vm_clock;	/* ns */
	uint64_t vm_state_size; /* bytes */
	uint64_t size;		/* of the disk then, bytes */
};

/* Visits the internal snapshots in the order of the image.  -EUCLEAN: the
   rest of their table cannot be. */
int qcow_list_snapshots(const char *path,
			void (*visit)(void *opaque,
				      const struct qcow_snapshot *snapshot),
			void *opaque, struct qcow_error *error);

/* bitmaps.c */

struct qcow_bitmap {
	const char *name;
	uint64_t granularity; /* bytes */
	bool in_use;	      /* not closed by its last user */
	bool automatic;	      /* its tracking begins by itself */
};

/* The same for persistent bitmaps. */
int qcow_list_bitmaps(const char *path,
		      void (*visit)(void *opaque,
				    const struct qcow_bitmap *bitmap),
		      void *opaque, struct qcow_error *error);

/* parts.c */

/* One of the files that a disk consists of. */
struct qcow_part {
	enum qcow_role {
		QCOW_ROLE_IMAGE,
		QCOW_ROLE_DATA_FILE, /* of the part before */
		QCOW_ROLE_BACKING,
	} role;
	const char *path;	      /* resolved; if that failed, the name */
	const char *format;	      /* as it was named, or has turned out:
					 "qcow2", "qcow", "raw" */
	const struct qcow_info *info; /* NULL: it has no header, or none was
					 read */
	uint64_t size;		      /* virtual, bytes; 0 if refused */
	const char *refused;	      /* why it would be; NULL: it is not */
};

/* Visits all of them from the top down, as far as an open would come: what
   is refused is the last.  references are those of qcow_options. */
int qcow_list_parts(const char *path, const struct qcow_references *references,
		    void (*visit)(void *opaque, const struct qcow_part *part),
		    void *opaque, struct qcow_error *error);

/* links.c */

/* Of a path as somebody wrote it, which an open does not see any more once it
   is resolved.  -EINVAL: symbolic links leave it open which file one of the
   headers means.  What is refused for itself is not said. */
int qcow_check_links(const char *path, const struct qcow_references *references,
		     struct qcow_error *error);

/* reference.c */

/* May the image at top, an absolute path, consist of the file at path, too?
   For callers that hear of a file from a process that they do not trust. */
int qcow_check_layer(const char *top, const struct qcow_layer *layer,
		     const struct qcow_references *references,
		     struct qcow_error *error);

/* judge.c */

/* What an open would come to. */
struct qcow_judgement {
	enum qcow_verdict {
		QCOW_REFUSED,
		QCOW_READ_ONLY,
		QCOW_READ_WRITE,
	} verdict;
	struct qcow_error why; /* unless it is QCOW_READ_WRITE */
	bool needs_key;	       /* qcow_options.key_file */
	bool is_written;       /* by somebody else, at the moment: it
				  was not looked at more closely */
};

/* Only references and journal_dir of the options have a say. */
void qcow_judge(const char *path, const struct qcow_options *options,
		struct qcow_judgement *judgement);

/* io.c: calls that block, as do those of discard.c and checkpoint.c.
   -EOWNERDEAD: a process that reads a legacy image was killed, and only another
   open gets a new one. */

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

/* The same without blocking.  Returns:
   0        now call fdatasync() on each of the first *files of qcow_fds(),
	    there may be none; the flush has succeeded when all of them have,
	    and has failed if one has
   QCOW_MUST_BLOCK
	    make the blocking call, on a thread that may block
   -errno   the flush has failed */
int qcow_map_flush(struct qcow_image *image, unsigned int *files);

/* mapped.c: calls that never block, never allocate memory, never do I/O */

/* Their answers beside 0 and -errno.  No error of the kernel has such a
   number, so that neither is ever taken for the other. */
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
	void *source;  /* whose bytes these are */
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
 * until qcow_finish() returned.  While mapped, the extents stay what they
 * are: nobody reuses or moves these bytes (R9).
 */
struct qcow_io {
	unsigned int nr_extents;
	struct qcow_extent extents[QCOW_IO_EXTENTS];
	/* private to the engine */
	struct qcow_range {
		struct qcow_range *prev, *next;
		uint64_t first, last; /* guest clusters */
		bool exclusive;
		bool waits; /* for one that came before it */
	} range;
	uint64_t offset;
	uint32_t length;
	uint64_t bitmap;	   /* of an extended L2 entry, when linked */
	bool zeroes;		   /* fresh clusters need zeros around */
	bool writes;		   /* the lease knows of it (R12) */
	uint64_t gains;		   /* of space, when it was mapped (R16) */
	uint32_t room_words;	   /* reserved in the journal (R16), and */
	uint32_t room_assignments; /* in the dirty set */
};

/*
 * Where a request's bytes live: extents in order, together exactly length
 * bytes.  Reading past the end of the file at an extent yields zeros.
 *
 *   0        mapped; do the I/O, then call qcow_finish()
 *   -EBUSY   a request under way has to end first; try again after the next
 *            qcow_finish() or the next end of a blocking call
 *   QCOW_MUST_BLOCK
 *            cannot be answered at once; make the blocking call, on a thread
 *            that may block
 *
 * After an error there is nothing to finish.  Other errors are final.
 */
int qcow_map_read(struct qcow_image *image, struct qcow_io *io, uint64_t offset,
		  uint32_t length);
int qcow_map_write(struct qcow_image *image, struct qcow_io *io,
		   uint64_t offset, uint32_t length);

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

/* journal-remove.c */

/* Removes what is left of a life: its journal in a directory (NULL: the
   default) and the note beside it.  The acknowledged writes in the journal are
   lost.  Nobody may serve the image. */
int qcow_forget_journal(const struct qcow_identity *identity,
			const char *directory);

/* lock.c: for the supervisor, which holds an image's locks and no more */

struct qcow_lock;

/*
 * Opens an image, or a layer of one, and takes QEMU's lock bytes on it, as a
 * writer or as a reader.  With test, refuses a file that somebody else uses:
 * -EBUSY; or -EINPROGRESS, where a dead owner's last I/O goes on (R14), which
 * is for the caller to wait for.  -ESTALE: it is another file than that (NULL:
 * any will do).  The lock is an open file description of its own; nothing of
 * the file is read.
 */
int qcow_lock(const char *path, const struct qcow_identity *identity,
	      bool read_only, bool test, struct qcow_lock **lock,
	      struct qcow_error *error);
/* The lock of a writer becomes that of a reader, and back.  Nobody else can
   become a writer in between.  -EBUSY: there is another reader by now, and the
   lock stays that of a reader. */
void qcow_lock_lower(struct qcow_lock *lock);
int qcow_lock_raise(struct qcow_lock *lock, struct qcow_error *error);
/* Which file it is that is locked. */
void qcow_lock_identify(const struct qcow_lock *lock,
			struct qcow_identity *identity);
/* By which path it can be found now, as the kernel says it: " (deleted)" stands
   behind that of a file which is in no directory any more. */
int qcow_lock_where(const struct qcow_lock *lock, char *path, size_t size);
void qcow_unlock(struct qcow_lock *lock);

/* check/check.c: finds faults of an image that nobody uses, and mends them */

enum qcow_repair {
	QCOW_REPAIR_NONE,
	QCOW_REPAIR_LEAKS, /* counts that are too high */
	QCOW_REPAIR_ALL,
};

struct qcow_check_options {
	enum qcow_repair repair;
	const char *journal_dir; /* NULL stands for QCOW_JOURNAL_DIR */
	size_t memory;		 /* bytes; 0 stands for the default */

	/* Each may be NULL.  A line, without newline, about a finding; how
	   much is done of a step of the check, which may have several. */
	void (*line)(void *opaque, const char *line);
	void (*progress)(void *opaque, uint64_t done, uint64_t total);
	void *opaque;

	const struct qcow_test_hooks *test;
};

/* What was found, or is left after a repair; clusters, as in qemu-img. */
struct qcow_check {
	uint64_t corruptions, corruptions_fixed;
	uint64_t leaks, leaks_fixed;
	uint64_t check_errors;	   /* something could not be read */
	uint64_t image_end_offset; /* bytes */
	uint64_t total_clusters;
	uint64_t allocated_clusters;
	uint64_t fragmented_clusters;
	uint64_t compressed_clusters;
};

/*
 * Returns 0 if the check was made, whatever it found; -ENOTSUP if this is no
 * qcow2 image.  An image in use is refused, and so is the repair of one whose
 * journal holds acknowledged writes.  A death or power loss during a repair
 * leaves the image no worse than it was (P3).
 */
int qcow_check(const char *path, const struct qcow_check_options *options,
	       struct qcow_check *result, struct qcow_error *error);

#endif /* QCOW_H */
