/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The files of an image, the seam under the engine, and the locks on them. */
#ifndef QCOW_FILE_H
#define QCOW_FILE_H

#include <pthread.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include "qcow/names.h"

/* file.c: the seam under the engine, full-length I/O or an error */

/* The tests' own disk: the same calls as the file's, in any order. */
struct qcow_file_ops {
	int (*read)(void *disk, void *buffer, uint64_t offset, size_t length);
	int (*write)(void *disk, const void *buffer, uint64_t offset,
		     size_t length);
	int (*sync)(void *disk);
	int (*punch)(void *disk, uint64_t offset, uint64_t length);
	uint64_t (*size)(void *disk);
	/* NULL: there is no such call. */
	int (*set_aside)(void *disk, uint64_t offset, uint64_t length);
	int (*cut)(void *disk, uint64_t size);
	bool (*is_hole)(void *disk, uint64_t offset, uint64_t length);
};

/* The greatest alignment of any file, in bytes; with one that wants more the
   page cache is used. */
#define MAX_ALIGNMENT 4096u

enum qcow_event {
	QCOW_EVENT_GROUP_COPIED, /* body in the journal, not sealed */
	QCOW_EVENT_GROUP_SEALED,
	QCOW_EVENT_GROUPS_DROPPED,
};

struct qcow_test_hooks {
	const struct qcow_file_ops *ops; /* NULL: the real file */
	void *disk;
	void (*event)(void *opaque, enum qcow_event event);
	void *opaque;
	bool no_fence;	   /* leaves out R14's fence byte */
	bool block_device; /* the disk is like one */
	uint64_t ahead; /* so many bytes are set aside (ahead.c); 0: as usual */
	const struct qcow_test_hooks *data;  /* under an external data file */
	const struct qcow_test_hooks *under; /* under its backing file */
};

struct file {
	int fd;
	uint32_t alignment; /* of offset, length and memory: QCOW_SECTOR to
			       MAX_ALIGNMENT */
	bool direct;
	bool block_device; /* has a fixed size, never reads as zero */
	int claim;	   /* descriptor with its claim; 0: none */
	struct qcow_identity identity;
	const struct qcow_names *names; /* it was opened by */
	const struct qcow_test_hooks *test;
	struct lease *lease;	   /* of its image; counts the writes */
	pthread_mutex_t sync_lock; /* of a buffered file's syncs */
	_Atomic bool *sync_lost;   /* of its image: one of them failed */
};

/* The tests' own disk in place of the file; NULL: there is none. */
static inline const struct qcow_file_ops *file_test_ops(const struct file *file)
{
	return file->test ? file->test->ops : NULL;
}

/* For O_DIRECT; free() frees it. */
void *file_buffer(size_t length);
/* Opens it in the mode that the options say; the caller closes it. */
int file_open(struct file *file, const char *path,
	      const struct qcow_options *options, struct qcow_error *error);
void file_close(struct file *file);
bool file_is_read_only_device(const struct file *file);
/* How to serve a file that cannot be opened for writing, by this error; to be
   put behind the error. */
const char *file_advice(const struct file *file, const char *path, int error);
/* Past the end of the file, zeros are read. */
int file_read(struct file *file, void *buffer, uint64_t offset, size_t length);
/* The same with any alignment; the others want it kept. */
int file_read_loosely(struct file *file, void *buffer, uint64_t offset,
		      size_t length);
int file_write(struct file *file, const void *buffer, uint64_t offset,
	       size_t length);
/* The same between lease_begin() and lease_end() of the caller. */
int file_write_leased(struct file *file, const void *buffer, uint64_t offset,
		      size_t length);
int file_write_zeroes(struct file *file, uint64_t offset, uint64_t length);
/* A table, in the host's byte order. */
int file_write_entries(struct file *file, const uint64_t *entries,
		       uint32_t count, uint64_t offset);

/* file-space.c */

/* Gives space back.  -EOPNOTSUPP where that does not exist. */
int file_punch(struct file *file, uint64_t offset, uint64_t length);
/* Is it known that nothing was written there since, or ever? */
bool file_is_hole(struct file *file, uint64_t offset, uint64_t length);
int file_size(struct file *file, uint64_t *size);
/* Makes it end there. */
int file_set_size(struct file *file, uint64_t size);
/* The same, if it is longer, after the end of all I/O. */
int file_cut(struct file *file, uint64_t size);
/* Is there a file_set_aside() that may overlap with writes? */
bool file_can_set_aside(const struct file *file);
/* Gives a part of it its place, and makes it as long as that; changes no
   byte. */
int file_set_aside(struct file *file, uint64_t offset, uint64_t length);

/* identity.c */

/* Looks at the open file, and stores which it is.  0 or -errno. */
int file_look(struct file *file, struct stat *st);
/* Is it the file with this identity? */
bool file_is(const struct file *file, const struct qcow_identity *identity);
/* -ESTALE: it is another; nothing has an identity of zeros, so any will do. */
int file_check(const struct file *file, const struct qcow_identity *identity,
	       struct qcow_error *error);

/* sync.c */

/* Every sync of an image goes through here (R17): with the page cache, after
   one that failed all others fail, too. */
int file_sync(struct file *file);

/* alignment.c */

/* The alignment that direct I/O on the file needs, in bytes, a power of
   two of at least QCOW_SECTOR; 0: there is no direct I/O. */
uint32_t file_find_alignment(struct file *file);

/* lock.c */

/* Has another process the right to write to the file? */
bool lock_is_written(const struct file *file);
/* The fence, then QEMU's bytes, as the options say (R14). */
int lock_image(struct file *file, const struct qcow_options *options,
	       struct qcow_error *error);

#endif /* QCOW_FILE_H */
