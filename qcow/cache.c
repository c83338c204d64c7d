// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The cache of table slices.  A slice is a piece of an L2 table or refcount
 * block, a page or a small cluster, as it stands in the file, converted to
 * host byte order when it is read.  Slices are always clean: changes that
 * are not in the file yet live in the dirty sets, so any slice may be dropped
 * at any time, and none is ever written because of its age.
 *
 * Only the checkpoint changes the tables in the file.  It pins the slice over
 * read, write and change, so that nobody reads the old state from the file
 * in between and keeps it.
 *
 * The victim is found by the clock: a hand goes round and takes the first
 * slice that was not used since it last passed.  All of this happens under
 * image->lock, except for the reading: a slice that is being loaded belongs
 * to the loader.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include "qcow/image.h"

#define MIN_SLICES 64u

int cache_create(struct cache *cache, size_t bytes, uint32_t slice_size)
{
	uint32_t count = MIN_SLICES;

	while (2ull * count * slice_size <= bytes)
		count *= 2;
	*cache = (struct cache){ .count = count, .slice_size = slice_size };
	cache->arena = mmap(NULL, (size_t)count * slice_size,
			    PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (cache->arena == MAP_FAILED) {
		cache->arena = NULL;
		return -ENOMEM;
	}
	cache->slices = calloc(count, sizeof(*cache->slices));
	cache->buckets = malloc(count * sizeof(*cache->buckets));
	if (!cache->slices || !cache->buckets)
		return -ENOMEM;
	for (uint32_t i = 0; i < count; i++) {
		cache->slices[i].data = (char *)cache->arena +
					(size_t)i * slice_size;
		cache->buckets[i] = -1;
	}
	return 0;
}

void cache_destroy(struct cache *cache)
{
	if (cache->arena)
		munmap(cache->arena, (size_t)cache->count * cache->slice_size);
	free(cache->slices);
	free(cache->buckets);
	*cache = (struct cache){ 0 };
}

static int32_t *bucket_of(struct cache *cache, uint64_t offset)
{
	uint64_t hash = offset / cache->slice_size * 0x9e3779b97f4a7c15ull;

	return &cache->buckets[(hash >> 32) & (cache->count - 1)];
}

/* Valid or being loaded. */
static struct slice *look_up(struct cache *cache, enum slice_type type,
			     uint64_t offset)
{
	int32_t i = *bucket_of(cache, offset);

	while (i >= 0) {
		struct slice *slice = &cache->slices[i];

		if (slice->offset == offset && slice->type == type)
			return slice;
		i = slice->next;
	}
	return NULL;
}

struct slice *cache_find(struct cache *cache, enum slice_type type,
			 uint64_t offset)
{
	struct slice *slice = look_up(cache, type, offset);

	if (!slice || slice->state != SLICE_VALID) {
		cache->misses++;
		return NULL;
	}
	cache->hits++;
	slice->used = true;
	return slice;
}

static void insert(struct cache *cache, struct slice *slice,
		   enum slice_type type, uint64_t offset)
{
	int32_t *bucket = bucket_of(cache, offset);

	slice->type = type;
	slice->offset = offset;
	slice->next = *bucket;
	*bucket = slice - cache->slices;
}

static void drop(struct cache *cache, struct slice *slice)
{
	int32_t *link = bucket_of(cache, slice->offset);

	while (*link != slice - cache->slices)
		link = &cache->slices[*link].next;
	*link = slice->next;
	slice->state = SLICE_EMPTY;
}

/* An empty slot; NULL if every slice is pinned or being loaded. */
static struct slice *evict(struct cache *cache)
{
	/* Twice round: the first round may only clear the used marks. */
	for (uint32_t i = 0; i < 2 * cache->count; i++) {
		struct slice *slice = &cache->slices[cache->hand];

		cache->hand = (cache->hand + 1) & (cache->count - 1);
		if (slice->state == SLICE_EMPTY)
			return slice;
		if (slice->state == SLICE_LOADING || slice->pins)
			continue;
		if (slice->used) {
			slice->used = false;
			continue;
		}
		drop(cache, slice);
		return slice;
	}
	return NULL;
}

/* Drops the lock while it reads. */
static int fill(struct qcow_image *image, struct slice *slice)
{
	struct cache *cache = &image->cache;
	int ret;

	slice->state = SLICE_LOADING;
	pthread_mutex_unlock(&image->lock);
	ret = file_read(&image->file, slice->data, slice->offset,
			cache->slice_size);
	if (!ret)
		slice_swap(slice->type, image->geometry.refcount_order,
			   slice->data, cache->slice_size);
	pthread_mutex_lock(&image->lock);
	if (ret) {
		drop(cache, slice);
	} else {
		slice->state = SLICE_VALID;
		slice->used = true;
	}
	image_wake(image);
	return ret;
}

int cache_load(struct qcow_image *image, enum slice_type type, uint64_t offset,
	       struct slice **result)
{
	struct cache *cache = &image->cache;

	for (;;) {
		struct slice *slice = look_up(cache, type, offset);

		if (slice && slice->state == SLICE_VALID) {
			*result = slice;
			return 0;
		}
		if (!slice)
			slice = evict(cache);
		if (!slice || slice->state == SLICE_LOADING) {
			image_wait(image);
			continue;
		}
		insert(cache, slice, type, offset);
		*result = slice;
		return fill(image, slice);
	}
}

void cache_forget(struct cache *cache, uint64_t offset, uint64_t length)
{
	for (uint64_t at = offset; at < offset + length;
	     at += cache->slice_size) {
		for (int type = SLICE_L2; type <= SLICE_REFCOUNT; type++) {
			struct slice *slice = look_up(cache, type, at);

			if (slice && slice->state == SLICE_VALID)
				drop(cache, slice);
		}
	}
}

static void swap_64(uint64_t *p, size_t count)
{
	for (size_t i = 0; i < count; i++)
		p[i] = be64toh(p[i]);
}

static void swap_32(uint32_t *p, size_t count)
{
	for (size_t i = 0; i < count; i++)
		p[i] = be32toh(p[i]);
}

static void swap_16(uint16_t *p, size_t count)
{
	for (size_t i = 0; i < count; i++)
		p[i] = be16toh(p[i]);
}

void slice_swap(enum slice_type type, unsigned int refcount_order, void *data,
		size_t length)
{
	if (type == SLICE_L2 || refcount_order == 6)
		swap_64(data, length / 8);
	else if (refcount_order == 5)
		swap_32(data, length / 4);
	else if (refcount_order == 4)
		swap_16(data, length / 2);
	/* Counts of a byte or less have no byte order. */
}
