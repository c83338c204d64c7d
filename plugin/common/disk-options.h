/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The options with which an image is served as a disk.  An admin gives them on
 * the command line, in disks.d, or in a domain's metadata; the record of the
 * disk keeps them.
 */
#ifndef DISK_OPTIONS_H
#define DISK_OPTIONS_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DISK_DEPTH_MAX 4096 /* the driver's limit, UBLK_MAX_QUEUE_DEPTH */

struct disk_options {
	unsigned int queues;
	unsigned int depth;
	bool read_only;
	bool writeback;
	bool no_references;	  /* the image may name no file */
	bool confined;		  /* refuse where the kernel cannot */
	bool sound_kernel;	  /* refuse where it has a known defect */
	uint64_t watchdog;	  /* seconds without progress; 0: none */
	uint64_t iops;		  /* requests in a second; 0: no limit */
	uint64_t bandwidth;	  /* bytes in a second; 0: no limit */
	uint64_t cache_size;	  /* bytes, of tables in memory; 0: as many as
				     the disk's size asks for */
	uint64_t workers;	  /* threads for calls that may block */
	char key_file[PATH_MAX];  /* empty: none.  Never the key */
	char data_file[PATH_MAX]; /* "": the image may name none */
};

#define DISK_WATCHDOG_MIN 2
#define DISK_WATCHDOG_MAX 3600
#define DISK_WORKERS_MAX  32

/* The options of a disk for which an admin gives none. */
#define DISK_OPTIONS_DEFAULT \
	{ \
		.queues = 1, .depth = 128, .watchdog = 30, .workers = 4 \
	}

/* A new disk, as the caller asks for it.  The caller keeps the strings. */
struct disk_request {
	const char *image;
	const char *name; /* NULL: after the image */
	long id;	  /* -1: the lowest that is free */
	struct disk_options options;
};

/* Each returns NULL if the disk has no such file. */
static inline const char *disk_key_file(const struct disk_options *options)
{
	return *options->key_file ? options->key_file : NULL;
}

static inline const char *disk_data_file(const struct disk_options *options)
{
	return *options->data_file ? options->data_file : NULL;
}

#endif /* DISK_OPTIONS_H */
