/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How an image is opened: with which files, locks and sizes.
 *
 * These are the words that all of the engine's headers share.
 */
#ifndef QCOW_OPTIONS_H
#define QCOW_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define QCOW_SECTOR	 512u
#define QCOW_FILES_MAX	 64 /* an image and the files under it */
#define QCOW_JOURNAL_DIR "/run/ublk-qcow2"

struct qcow_image;
struct qcow_names;

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

/* Which file an image is, by any name.  An inode that is used again has another
   birth. */
struct qcow_identity {
	uint64_t device, inode; /* both 0: any */
	uint64_t birth;		/* CLOCK_REALTIME, ns; 0: not known */
};

/* A file that belongs to an image besides its own: a file under it, or a data
   file. */
struct qcow_layer {
	const char *path; /* resolved */
	struct qcow_identity identity;
	bool written; /* with the image, or merged into; the
			 others are only read */
};

/*
 * Which files an image may name, for an image is input (P6).  A backing file
 * may be any regular file in the directory of the image that was asked for, or
 * lie below one of directories; a device is named by a directory only, and an
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

	/* With QCOW_LOCK_JOIN: asked when the bytes have been taken.  We rely
	   on the test of another holder: does that holder still live?  May be
	   NULL. */
	bool (*holder_lives)(void *opaque);

	/* Another file under the image's name is refused. */
	struct qcow_identity identity;

	/* So many layers of which qcow_layers() told at an earlier open: it
	   must be the same files.  With QCOW_LOCK_JOIN the holder of the
	   image's locks has tested and holds theirs, too.  NULL: not known; the
	   layers that are written are tested. */
	const struct qcow_layer *layers;
	unsigned int nr_layers;

	/* The image has been locked without a gap since the journal's owner
	   died; this decides if neither the mark nor the files' times can
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

	/* Another process makes the calls that take names (names.h); NULL:
	   this one does. */
	const struct qcow_names *names;

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

/* identity.c */

/* Which file a path leads to. */
int qcow_identify_path(const char *path, struct qcow_identity *identity);

#endif /* QCOW_OPTIONS_H */
