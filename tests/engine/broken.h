/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Broken images: sound images of qemu-img's, the bytes that are poked into
 * them, and the result that each must have.  One file for each class of
 * breakage.
 */
#ifndef BROKEN_H
#define BROKEN_H

#include "qcow/bits.h"
#include "qcow/format.h"
#include "qcow/qcow.h"

/* The places where qemu-img puts things, with clusters of this size. */
#define CLUSTER		 4096u
#define TABLE		 0x1000ull /* of refcounts */
#define BLOCK		 0x2000ull
#define L1		 0x3000ull
#define L2		 0x4000ull
#define DATA		 0x5000ull /* of the first guest cluster */
#define END		 0x8000ull
#define SNAPSHOT_L1	 0x8000ull  /* of base SNAPSHOT */
#define SNAPSHOTS	 0x9000ull  /* their table, likewise */
#define BITMAP_TABLE	 0xb000ull  /* of base BITMAP */
#define BITMAPS		 0xc000ull  /* their directory, likewise */
#define BITMAP_FLAGS	 12u	    /* of an entry: byte offset */
#define DISK_SIZE	 (4u << 20) /* two L2 tables; one is there */
#define EXTENDED_CLUSTER 16384u	    /* of images with subclusters */

#define COPIED ENTRY_COPIED

/* A big endian number that is written to a place; width 0 ends a list. */
struct poke {
	uint64_t at;
	unsigned int width;
	uint64_t value;
};

#define MAX_POKES 5

enum base {
	PLAIN, /* version 3 */
	OLD,   /* version 2 */
	OVERLAY,
	PACKED, /* compressed clusters */
	SNAPSHOT,
	BITMAP,
	EXTENDED, /* L2 entries, and clusters four times as large */
	BASES,
};

/* A field of the header, poked. */
#define H(field, width, value) \
	{ \
		HEADER_##field, width, value \
	}

struct bytes_of {
	uint8_t *bytes;
	size_t size;
};

/* broken-images.c */

extern char *bases[BASES];	/* paths */
extern unsigned int checks;	/* made so far */
extern char broken_notice[512]; /* the last since the image was opened */

/* Big endian numbers of any width, in bytes. */
uint64_t broken_load(const uint8_t *bytes, unsigned int width);
void broken_store(uint8_t *bytes, unsigned int width, uint64_t value);
void broken_make_bases(void);
/* A copy of the base with the bytes changed, at the path. */
void make_broken(const char *path, enum base base, const struct poke *pokes);
int open_broken(const char *path, bool read_only, struct qcow_image **image,
		struct qcow_error *error);
void expect_text(const char *name, const char *says,
		 const struct qcow_error *error);
void expect_refused(const char *name, const char *path, bool read_only,
		    const char *says);
/* The judgement that `info` gives before any open. */
void expect_judged(const char *name, const char *path,
		   enum qcow_verdict verdict, const char *says);
/* The list of the files of the image ends with a refusal in these words. */
void expect_last_part(const char *name, const char *path, const char *says);
/* `info` may say anything, but it must not crash. */
int expect_info(const char *name, const char *path, const char *says);
/* The bytes of a file; the caller frees them. */
struct bytes_of bytes_of(const char *path);
void expect_unchanged(const char *name, const char *path,
		      struct bytes_of before);
void expect_no_journal(const char *name);

/* broken-later.c: faults that are met while the image is in use */

struct later {
	const char *name;
	enum base base;
	struct poke pokes[MAX_POKES]; /* break the first guest cluster */
	bool readable;		      /* it can still be read */
	bool reused;		      /* its cluster counts as free: a copy
					 may have been made right there */
	bool qemu_content;	      /* qemu-img check finds nothing */
};

/* The call that meets the broken cluster. */
enum approach {
	READ,
	READ_ONLY,
	WRITE, /* less than the cluster */
	WRITE_ALL,
	DISCARD,
	APPROACHES,
};

struct qcow_image *must_open(const char *name, const char *path,
			     bool read_only);
void expect_bytes(const char *name, struct qcow_image *image, uint64_t offset,
		  int byte);
void expect_read(const struct later *row, struct qcow_image *image);
/* Only the corrupt bit may differ; version 2 has no such bit. */
void expect_marked(const char *name, const char *path, struct bytes_of before);
void expect_no_write(const char *name, struct qcow_image *image,
		     uint64_t offset, uint64_t length);
/* Meets the broken cluster: reads, writes or discards it. */
void approach(const struct later *row, struct qcow_image *image,
	      enum approach how);
void expect_qemu_agrees(const char *name, const char *path);

/* A row of a table: an image that is refused at the open. */
enum info {
	INFO_SAYS, /* qcow_read_info() refuses it, likewise */
	INFO_WORKS,
};

struct refusal {
	const char *name;
	enum base base;
	struct poke pokes[MAX_POKES];
	const char *says;
	enum info info;
	bool read_only_works;
	bool needs_key; /* and has none */
};

/* broken-refused.c: makes the image, and tries to open it in each way. */
void broken_test_refusal(const struct refusal *row);

/* The classes; each has its own file. */
void broken_refused(void);  /* at the open, by the header */
void broken_tables(void);   /* at the open, by the top tables */
void broken_names(void);    /* of backing and data files */
void broken_later(void);    /* entries of L2 tables, counts */
void broken_clusters(void); /* compressed ones, subclusters */
void broken_beyond(void);   /* the end of the file */

#endif /* BROKEN_H */
