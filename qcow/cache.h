/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Slices of tables as the file has them: without dirty assignments. */
#ifndef QCOW_CACHE_H
#define QCOW_CACHE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "qcow/shared.h"

struct qcow_image;

enum slice_type {
	SLICE_L2,	/* entries, 64 bits each */
	SLICE_REFCOUNT, /* counts, 1 << refcount_order bits each */
};

/* A piece of a table as the file has it, in host byte order. */
struct slice {
	enum slice_type type;
	enum slice_state {
		SLICE_EMPTY,
		SLICE_LOADING,
		SLICE_VALID,
	} state;
	bool used;	 /* since the clock's hand last passed; set without
			    the lock, too */
	uint32_t pins;	 /* must stay: the checkpoint changes it */
	uint64_t offset; /* in the file */
	int32_t next;	 /* in its hash chain, -1: last */
	void *data;
};

/* Unlocked look-ups read all of this but pins and hand. */
struct cache {
	struct slice *slices;
	int32_t *buckets;
	uint32_t count;	     /* a power of two */
	uint32_t slice_size; /* bytes, a power of two */
	uint32_t slice_bits; /* log2 of that */
	uint32_t hand;
	void *arena;
	struct cache_hits {
		_Alignas(CACHE_LINE) uint64_t count;
	} * hits;	 /* by shards */
	uint64_t misses; /* slices that were read */
};

#define MAX_SLICE_SIZE 4096u

/* A cache of so many bytes at most, or of the fewest slices that are of use.  0
   or -ENOMEM; either way cache_destroy() frees it. */
int cache_create(struct cache *cache, size_t bytes, uint32_t slice_size);
void cache_destroy(struct cache *cache);
/* How often cache_find() has found a slice; without the lock. */
uint64_t cache_count_hits(const struct cache *cache);
/* The slice at this offset in the file; NULL: the cache does not have it.
   Under the lock, or as unlocked.c says. */
struct slice *cache_find(struct cache *cache, enum slice_type type,
			 uint64_t offset);
/* Finds the slice or reads it, and drops the lock meanwhile.  The slice is
   valid until the lock is dropped the next time.  0, or -errno of the read. */
int cache_load(struct qcow_image *image, enum slice_type type, uint64_t offset,
	       struct slice **slice);
/* So many slices may be loaded ahead, or pinned by one caller. */
#define CACHE_MOST_AHEAD 64u
unsigned int cache_most_ahead(const struct cache *cache);
/* Loads slices at once, of those that are missing as many as have room; drops
   the lock.  If it fails, they are not loaded.  bytes: memory for all of them,
   fit for direct I/O. */
void cache_load_ahead(struct qcow_image *image, enum slice_type type,
		      const uint64_t *offsets, unsigned int count, void *bytes);
/* Drops the slices of these bytes: they are written without the cache, now or
   next. */
void cache_forget(struct qcow_image *image, uint64_t offset, uint64_t length);

/* slice.c */

/* Between the file's byte order and the host's, in place. */
void slice_swap(enum slice_type type, unsigned int refcount_order, void *data,
		size_t length);

#endif /* QCOW_CACHE_H */
