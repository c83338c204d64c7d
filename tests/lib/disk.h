/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A disk in memory, under the engine in place of the image's file.  The disk
 * remembers every write, every sync, every punched hole, and the bytes of the
 * journal just after each.  From that record a test makes the state at any
 * instant of a death or a power loss again.
 */
#ifndef DISK_H
#define DISK_H

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>
#include "qcow/bits.h"
#include "qcow/file.h"
#include "qcow/format.h"

enum step_kind {
	STEP_WRITE,
	STEP_SYNC,
	STEP_PUNCH,
	STEP_SET_ASIDE,
	STEP_CUT,
	STEP_JOURNAL, /* something happened to the journal */
};

struct step {
	enum step_kind kind;
	uint64_t offset;
	size_t length;
	uint8_t *bytes;	    /* of a write */
	uint8_t *journal;   /* the journal's file, after the step */
	unsigned int begun; /* operations begun and acknowledged so far */
	unsigned int acked;
};

struct disk {
	uint8_t *bytes;
	size_t size, capacity;
	struct step *steps;
	unsigned int nr_steps;
	const char *journal_path;
	size_t journal_size;
	unsigned int begun, acked;
	bool recording;
	int fail_at;   /* this I/O fails; -1: none */
	int fail_with; /* -errno */
	int countdown;
	_Atomic int fail_sync; /* and so does this sync, with EIO; -1: none */
	_Atomic int syncs;
	void (*on_sync)(struct disk *disk); /* NULL: nothing to do */
	/* Runs before a write or a read, which fails with the value returned
	   unless that is 0.  NULL: nothing to do. */
	int (*on_write)(struct disk *disk, uint64_t offset);
	int (*on_read)(struct disk *disk, uint64_t offset);
	size_t limit;	  /* no write makes it larger; 0: none */
	int refuses_room; /* -errno: no room can be set aside */
	struct qcow_test_hooks hooks;
	pthread_mutex_t lock; /* of the image's threads */
};

/* A disk with the contents of a file. */
void disk_load(struct disk *disk, const char *path);
/* Makes it like a block device of that many bytes more, which hold leftovers:
   its size is fixed, and holes cannot be punched. */
void disk_make_device(struct disk *disk, size_t more);
/* A file system that is full when the file has so many bytes. */
void disk_limit(struct disk *disk, size_t size);
/* Either is made larger by so many bytes. */
void disk_grow(struct disk *disk, size_t more);
/* A copy of the contents, without the record. */
void disk_copy(struct disk *to, const struct disk *from);
void disk_free(struct disk *disk);
/* Starts recording: all from here on is remembered. */
void disk_record(struct disk *disk, const char *journal_path);
/* Does one step of a record to a disk. */
void disk_apply(struct disk *disk, const struct step *step);
void disk_save(const struct disk *disk, const char *path);

/* Opens the image on a disk.  Its journal, of so many bytes, is in the scratch
   directory "journals"; with force, the open gives up one that does not fit.
   The test ends with the name if that fails. */
struct qcow_image *disk_open(struct disk *disk, size_t journal_size, bool force,
			     const char *name);

#endif /* DISK_H */
