/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The state that outlives our processes: each disk's record, and the locks that
 * keep two commands from working on one disk at once.
 *
 * Functions return 0 or -errno.
 */
#ifndef STATE_H
#define STATE_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "plugin/common/disk-options.h"
#include "plugin/common/layers.h"
#include "plugin/common/process.h"
#include "plugin/common/trouble.h"
#include "qcow/qcow.h"

#define STATE_DIR     QCOW_JOURNAL_DIR
#define DISK_ID_MAX   ((1 << 20) - 1) /* the driver's limit */
#define DISK_NAME_MAX 64

enum disk_state {
	DISK_ADDING, /* not usable yet; it has no users */
	DISK_LIVE,
	DISK_RECOVERING, /* its users wait for a new server */
	DISK_FAILED,	 /* its users wait for `recover` */
	DISK_STOPPING,
};

struct disk {
	int id; /* of /dev/ublkb<id> */
	enum disk_state state;
	char name[DISK_NAME_MAX + 1];
	char image[PATH_MAX]; /* absolute, no symbolic links; of a device the
				 name that it was given */
	struct qcow_identity identity; /* which file that is */
	struct disk_options options;   /* paths in it are absolute */
	uint64_t size;		       /* bytes */
	struct process server;
	struct process supervisor;
	unsigned int confinement; /* of the server: enum confinement */
	char server_version[32];  /* of the program that it runs */
	char supervisor_version[32];
	uint64_t growing;     /* the size that the image shall get; 0: none */
	unsigned int merging; /* place of the layer that its image is merged
				 into, counted from 1; 0: none */
	unsigned int merge_done; /* of that, thousandths */
	uint64_t merge_rate;	 /* bytes in a second; 0: no limit */
	char merge_domain[256];	 /* that will name that layer; "": none */
	bool merged;		 /* that layer holds the disk, and no server has
				    begun since */
	char merge_failure[256]; /* why the last merge was given up */
	char merged_from[PATH_MAX]; /* the overlay that was merged into the
				       image, until hooks.d has been told;
				       "": there is none */
	struct qcow_identity merged_identity; /* of that overlay */
	bool merged_marked; /* it is not to be served, and says so */
	unsigned int recoveries;
	uint64_t since;		   /* in this state; seconds since 1970 */
	uint64_t nonce;		   /* the driver keeps it with the device, so
				      that we know the device for ours */
	char boot[40];		   /* the boot this record belongs to */
	char reason[512];	   /* why it failed */
	enum host_trouble trouble; /* of its requests, while it is live */
	uint64_t trouble_since;	   /* seconds since 1970; 0: none */
	char trouble_text[256];	   /* the cause */
};

/* Names as `list` and the records have them. */
const char *disk_state_name(enum disk_state state);

/* The directory of the state: STATE_DIR. */
const char *state_dir(void);

/* The path of the supervisor's socket. */
void disk_socket_path(int id, char path[108]);

/* Makes the directory if it is missing. */
int state_open(void);

/* Writes a text as the value of a line, with \n for a newline. */
void state_put_text(FILE *file, const char *text);

/* Reads such a value, without the line's end. */
void state_get_text(char *text, size_t size, const char *value);

/* Reads the layers from the disk's record; the record may not know them. */
int disk_load_layers(int id, struct layers *layers);

/* Writes the record: a reader sees the old one or the new one.  The first
   record of a disk, and the first with layers, need room.  layers may be NULL:
   not known. */
int disk_save(const struct disk *disk, const struct layers *layers);

/* Reads a record.  Returns:
   0		*disk is filled in
   -ENOENT	there is no record, or it is of an earlier boot
   -EPROTO	a later version of this program wrote it
   -EBADMSG	it is damaged
   or another -errno. */
int disk_load(int id, struct disk *disk);

bool disk_exists(int id);

/* Removes the record and the socket beside it. */
void disk_forget(int id);

/* Fills in the nonce and the boot of a new disk. */
int disk_stamp(struct disk *disk);

/* Locks a disk, or with id STATE_LOCK_ALL the choice of ids, names and images.
   Closing *lock, in every process that inherited it, unlocks.  Returns:
   0		it is locked
   -EBUSY	another process has kept the lock for that time
   or another -errno. */
#define STATE_LOCK_ALL (DISK_ID_MAX + 1)
int state_lock(int id, int milliseconds, int *lock);

/* find.c: searches among all records. */

/* Calls visit for every disk, in order of ids, until visit returns other than
   0, and returns that. */
int disk_each(int (*visit)(const struct disk *disk, void *opaque),
	      void *opaque);

/* Calls visit for every record that cannot be read, with the reason. */
int disk_each_unreadable(void (*visit)(int id, int error, void *opaque),
			 void *opaque);

/* Removes the unfinished files of writers that died while they wrote a
   record. */
void state_sweep(void);

/* Is the disk's image that file, as far as its record knows? */
bool disk_is_file(const struct disk *disk,
		  const struct qcow_identity *identity);

/* Finds the disk that serves this image, or has this name.  An image is known
   by its path, or by identity, which may be NULL.  Returns:
   0		*disk is that disk
   -ENOENT	there is none
   or another -errno. */
int disk_of_image(const char *image, const struct qcow_identity *identity,
		  struct disk *disk);
int disk_of_name(const char *name, struct disk *disk);

/* Finds the disk that DEV means: an id, a name, /dev/ublkbN or a link to that.
   Returns as disk_load(). */
int disk_find(const char *dev, struct disk *disk);

/* The same for people: they may also give the path of its image. */
int disk_find_wide(const char *dev, struct disk *disk);

/* Finds the lowest id, from first on, without a record and without a device;
   -ENOSPC: there is none. */
int disk_free_id(int first, int *id);

#endif /* STATE_H */
