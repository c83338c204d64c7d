/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The domains of libvirt's that use disks: records beside those of the disks,
 * which libvirt's hook writes.
 *
 * Functions return 0 or -errno.
 */
#ifndef OWNER_H
#define OWNER_H

#include "plugin/common/state.h"

#define OWNER_UUID_SIZE 37

/* One domain's use of one disk.  A record is written and removed under the
   disk's owner_lock(). */
struct owner {
	char uuid[OWNER_UUID_SIZE];   /* the domain's, in lower case */
	char domain[256];	      /* its name, maybe cut off */
	char name[DISK_NAME_MAX + 1]; /* the disk's */
	char image[PATH_MAX];
	int id;
	uint64_t nonce; /* the disk's: another disk of the same name
			   is not this one */
	bool owned; /* the disk goes with its last user; else an admin has added
		       the disk */
	bool shareable; /* other domains may use it, too */
	bool released;	/* the domain has ended, but the disk could
			   not be removed */
	bool begun;	/* the disk was about to be served: its nonce is not
			   known, so any disk of this name is this one */
};

/* Copies a uuid in lower case; -EINVAL: the text is no uuid. */
int owner_uuid(const char *text, char uuid[OWNER_UUID_SIZE]);

/* Fills in a record of a domain's use of a disk, with no flag set. */
void owner_fill(struct owner *owner, const char *uuid, const char *domain,
		const struct disk *disk);

/* The record of a disk that is about to be served for a domain.  It stays if
   the process that has the disk served dies before it has written the full one,
   which then counts as that of a domain that has ended. */
void owner_begin(struct owner *owner, const char *uuid, const char *domain,
		 const char *name);

/* Opens the directory of the records.  Returns:
   0		*dir is a descriptor
   -ENOENT	there is no directory, and make is false
   or another -errno. */
int owner_open(bool make, int *dir);

/* Writes a record: a reader sees the old one or the new one. */
int owner_save(const struct owner *owner);

/* Reads a record.  Returns:
   0		*owner is filled in
   -ENOENT	there is no such record
   or another -errno. */
int owner_load(const char *uuid, const char *name, struct owner *owner);

/* Removes a record; one that is gone already is no error. */
void owner_forget(const char *uuid, const char *name);

/* Calls visit for every record, in order of uuids, until visit returns other
   than 0, and returns that.  visit may remove the record.  -errno: there may be
   more records, which cannot be read just now. */
int owner_each(int (*visit)(const struct owner *owner, void *opaque),
	       void *opaque);

/* Is this a record of this very disk? */
bool owner_is_of(const struct owner *owner, const struct disk *disk);

/* Does that domain still use this very disk? */
bool owner_is_using(const struct owner *owner, const struct disk *disk);

/* Finds a domain that still uses this very disk.  Returns:
   0		*owner is its record
   -ENOENT	there is none
   or another -errno: that is not known. */
int owner_find_user(const struct disk *disk, struct owner *owner);

/* Removes all records of this very disk. */
void owner_forget_all(const struct disk *disk);

/* Locks the users of the disk of this name, whether the disk exists or not; or
   something else that this name stands for.  Closing *lock unlocks.  Returns:
   0		they are locked
   -EBUSY	another process has kept the lock for that time
   or another -errno. */
int owner_lock(const char *name, int milliseconds, int *lock);

#endif /* OWNER_H */
