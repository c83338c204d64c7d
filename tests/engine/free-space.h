/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A full image, and the search for free clusters in it. */
#ifndef FREE_SPACE_H
#define FREE_SPACE_H

#include <pthread.h>
#include <stdatomic.h>
#include "tests/lib/disk.h"
#include "qcow/provide.h"

struct free_space {
	struct disk disk;
	struct qcow_file_ops ops;
	const struct qcow_file_ops *disk_ops;
	struct qcow_image *image;
	uint32_t cluster;
	pthread_t main;
	atomic_uint reads;
	atomic_bool opened;
	bool dirties;	   /* the hole, while the sweep looks at it */
	uint64_t freed_at; /* by a read of this offset; 0: by none */
	uint64_t guest;	   /* this one */
};
extern struct free_space test;

/* free-space-image.c */

void free_space_begin(void);
/* Ends the test if the call has failed. */
void must(int ret, const char *what);
void free_guest(uint64_t guest);
void write_guest(uint64_t guest);
/* All of the disk but its last 64 KiB has clusters. */
void make(const char *options, uint32_t cluster, unsigned int kib);
void open_image(bool threads);
uint64_t host_of(uint64_t guest);
void await_sweep(void);
void close_image(void);
/* Returns the next guest cluster without a host cluster. */
uint64_t fill_holes(uint64_t guest);

/* free-space-holes.c */

void test_hole(void);

#endif /* FREE_SPACE_H */
