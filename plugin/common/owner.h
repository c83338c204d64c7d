/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which domains of libvirt's use which disks: records beside those of the
 * disks, written by libvirt's hook.
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
	bool owned;	/* the disk is to go with its last user; else
			   somebody has added it by hand */
	bool shareable; /* other domains may use it, too */
	bool released;	/* the domain has ended, but the disk could
			   not be removed */
};

/* Copies a uuid in lower case; -EINVAL: it is none. */
int owner_uuid(const char *text, char uuid[OWNER_UUID_SIZE]);

/* A record of a domain's use of a disk, with no flag set. */
void owner_fill(struct owner *owner, const char *uuid, const char *domain,
		const struct disk *disk);

/* A descriptor of the directory of the records; -ENOENT: there is none and
   it is not to be made. */
int owner_open(bool make, int *dir);

/* Writes a record: a reader sees the old one or the new one. */
int owner_save(const struct owner *owner);

/* Reads a record; -ENOENT: there is none. */
int owner_load(const char *uuid, const char *name, struct owner *owner);

/* Removes a record; one that is gone already is no error. */
void owner_forget(const char *uuid, const char *name);

/* Calls visit for every record in order of uuids until it returns other than
   0, which is returned then.  It may remove the record. */
int owner_each(int (*visit)(const struct owner *owner, void *opaque),
	       void *opaque);

/* Is this a record of this very disk? */
bool owner_is_of(const struct owner *owner, const struct disk *disk);

/* Is it in use by that domain?  Not any more if the domain has ended. */
bool owner_is_using(const struct owner *owner, const struct disk *disk);

/* Removes all records of this very disk. */
void owner_forget_all(const struct disk *disk);

/* Locks the users of the disk of this name, whether it exists or not.  Waits
   that long, then -EBUSY.  Closing *lock unlocks. */
int owner_lock(const char *name, int milliseconds, int *lock);

#endif /* OWNER_H */
