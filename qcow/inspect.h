/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Looks at an image, also at one that qcow_open() refuses.
 *
 * These calls take no locks and change nothing.  While somebody writes to the
 * image, they may tell yesterday's news.
 */
#ifndef QCOW_INSPECT_H
#define QCOW_INSPECT_H

#include "qcow/options.h"

/* info.c */

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

/* The header of an image.  Texts are the image's and may hold anything. */
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
	bool has_journal; /* it may tell more than the image */
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

/* Visits all of them from the top down, as far as an open would come: a
   file that is refused is the last.  references are those of qcow_options. */
int qcow_list_parts(const char *path, const struct qcow_references *references,
		    void (*visit)(void *opaque, const struct qcow_part *part),
		    void *opaque, struct qcow_error *error);

/* links.c */

/* Judges a path as somebody wrote it; an open sees only the resolved path.
   -EINVAL: symbolic links leave it open which file one of the headers means.
   Other reasons to refuse the image are not told. */
int qcow_check_links(const char *path, const struct qcow_references *references,
		     struct qcow_error *error);

/* reference.c */

/* May the image at top, an absolute path, consist of the file at path, too?
   For callers that hear of a file from a process that they do not trust. */
int qcow_check_layer(const char *top, const struct qcow_layer *layer,
		     const struct qcow_references *references,
		     struct qcow_error *error);

/* judge.c */

/* The result that an open would have. */
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

#endif /* QCOW_INSPECT_H */
