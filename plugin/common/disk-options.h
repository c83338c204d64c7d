/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How an image is served as a disk, as an admin says it: on the command line,
 * in disks.d, in a domain's metadata.  The record of the disk keeps it.
 */
#ifndef DISK_OPTIONS_H
#define DISK_OPTIONS_H

#include <limits.h>
#include <stdbool.h>

#define DISK_DEPTH_MAX 4096 /* the driver's limit, UBLK_MAX_QUEUE_DEPTH */

struct disk_options {
	unsigned int queues;
	unsigned int depth;
	bool read_only;
	bool writeback;
	bool no_references;	  /* the image may name no file */
	bool confined;		  /* or not served, where the kernel can't */
	char key_file[PATH_MAX];  /* empty: none.  Never the key */
	char data_file[PATH_MAX]; /* that the image may name; empty: none */
};

/* The options of a disk for which an admin says nothing. */
#define DISK_OPTIONS_DEFAULT \
	{ \
		.queues = 1, .depth = 128 \
	}

/* A new disk, as asked for.  The strings stay the caller's. */
struct disk_request {
	const char *image;
	const char *name; /* NULL: after the image */
	long id;	  /* -1: the lowest that is free */
	struct disk_options options;
};

/* Each returns NULL if the disk has none. */
static inline const char *disk_key_file(const struct disk_options *options)
{
	return *options->key_file ? options->key_file : NULL;
}

static inline const char *disk_data_file(const struct disk_options *options)
{
	return *options->data_file ? options->data_file : NULL;
}

#endif /* DISK_OPTIONS_H */
