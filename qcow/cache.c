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
 * image->lock, except for two things: a slice is read to memory of the loader's
 * own, and look-ups come without the lock (unlocked.c).
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include "qcow/image.h"

#define MIN_SLICES 64u

int cache_create(struct cache *cache, size_t bytes, uint32_t slice_size)
{
	uint32_t count = MIN_SLICES;

	while (2ull * count * slice_size <= bytes)
		count *= 2;
	*cache = (struct cache){
		.count = count,
		.slice_size = slice_size,
		.slice_bits = __builtin_ctz(slice_size),
	};
	cache->arena = mmap(NULL, (size_t)count * slice_size,
			    PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (cache->arena == MAP_FAILED) {
		cache->arena = NULL;
		return -ENOMEM;
	}
	cache->slices = calloc(count, sizeof(*cache->slices));
	cache->buckets = malloc(count * sizeof(*cache->buckets));
	cache->hits = aligned_alloc(CACHE_LINE, SHARDS * sizeof(*cache->hits));
	if (!cache->slices || !cache->buckets || !cache->hits)
		return -ENOMEM;
	memset(cache->hits, 0, SHARDS * sizeof(*cache->hits));
	for (uint32_t i = 0; i < count; i++)
		cache->buckets[i] = -1;
	return 0;
}

void cache_destroy(struct cache *cache)
{
	if (cache->arena)
		munmap(cache->arena, (size_t)cache->count * cache->slice_size);
	free(cache->slices);
	free(cache->buckets);
	free(cache->hits);
	*cache = (struct cache){ 0 };
}

static int32_t *bucket_of(struct cache *cache, uint64_t offset)
{
	uint64_t hash = (offset >> cache->slice_bits) * 0x9e3779b97f4a7c15ull;

	return &cache->buckets[(hash >> 32) & (cache->count - 1)];
}

/* Valid or being loaded. */
static struct slice *look_up(struct cache *cache, enum slice_type type,
			     uint64_t offset)
{
	int32_t i = shared_get(*bucket_of(cache, offset));

	/* Without the lock, a chain may change and seem to have no end. */
	for (uint32_t n = 0; i >= 0 && n < cache->count; n++) {
		struct slice *slice = &cache->slices[i];

		if (shared_get(slice->offset) == offset &&
		    shared_get(slice->type) == type)
			return slice;
		i = shared_get(slice->next);
	}
	return NULL;
}

static void count_hit(struct cache *cache)
{
	uint64_t *count = &cache->hits[shard_of_thread()].count;

	shared_put(*count, shared_get(*count) + 1);
}

uint64_t cache_count_hits(const struct cache *cache)
{
	uint64_t sum = 0;

	for (unsigned int i = 0; i < SHARDS; i++)
		sum += shared_get(cache->hits[i].count);
	return sum;
}

struct slice *cache_find(struct cache *cache, enum slice_type type,
			 uint64_t offset)
{
	struct slice *slice = look_up(cache, type, offset);

	if (!slice || shared_get(slice->state) != SLICE_VALID)
		return NULL;
	count_hit(cache);
	/* Only if need be: all threads read this line. */
	if (!shared_get(slice->used))
		shared_put(slice->used, true);
	return slice;
}

/* To be loaded. */
static void insert(struct qcow_image *image, struct slice *slice,
		   enum slice_type type, uint64_t offset)
{
	struct cache *cache = &image->cache;
	int32_t *bucket = bucket_of(cache, offset);
	uint32_t i = slice - cache->slices;

	/* Not before: slices that are not used take no memory. */
	if (!slice->data)
		slice->data = (char *)cache->arena +
			      (size_t)i * cache->slice_size;
	image_change_begin(image);
	shared_put(slice->type, type);
	shared_put(slice->offset, offset);
	shared_put(slice->next, *bucket);
	shared_put(slice->state, SLICE_LOADING);
	shared_put(*bucket, i);
	image_change_end(image);
}

static void drop(struct qcow_image *image, struct slice *slice)
{
	struct cache *cache = &image->cache;
	int32_t *link = bucket_of(cache, slice->offset);

	while (*link != slice - cache->slices)
		link = &cache->slices[*link].next;
	image_change_begin(image);
	shared_put(*link, slice->next);
	shared_put(slice->state, SLICE_EMPTY);
	image_change_end(image);
}

/* An empty slot; NULL if every slice is pinned or being loaded. */
static struct slice *evict(struct qcow_image *image)
{
	struct cache *cache = &image->cache;

	/* Twice round: the first round may only clear the used marks. */
	for (uint32_t i = 0; i < 2 * cache->count; i++) {
		struct slice *slice = &cache->slices[cache->hand];

		cache->hand = (cache->hand + 1) & (cache->count - 1);
		if (slice->state == SLICE_EMPTY)
			return slice;
		if (slice->state == SLICE_LOADING || slice->pins)
			continue;
		if (shared_get(slice->used)) {
			shared_put(slice->used, false);
			continue;
		}
		drop(image, slice);
		return slice;
	}
	return NULL;
}

static void make_valid(struct qcow_image *image, struct slice *slice,
		       const uint64_t *words)
{
	uint64_t *to = slice->data;

	image_change_begin(image);
	for (uint32_t i = 0; i < image->cache.slice_size / 8; i++)
		shared_put(to[i], words[i]);
	shared_put(slice->state, SLICE_VALID);
	shared_put(slice->used, true);
	image_change_end(image);
}

/* Drops the lock while it reads.  Look-ups may still read the slice that was in
   this memory before. */
static int fill(struct qcow_image *image, struct slice *slice)
{
	_Alignas(MAX_SLICE_SIZE) uint64_t words[MAX_SLICE_SIZE / 8];
	uint32_t size = image->cache.slice_size;
	int ret;

	pthread_mutex_unlock(&image->lock);
	ret = file_read(&image->file, words, slice->offset, size);
	if (!ret)
		slice_swap(slice->type, image->geometry.refcount_order, words,
			   size);
	pthread_mutex_lock(&image->lock);
	if (ret)
		drop(image, slice);
	else
		make_valid(image, slice, words);
	image_wake(image);
	return ret;
}

/* Slices that nobody has and that are to be loaded, as far as there is room. */
static unsigned int insert_missing(struct qcow_image *image,
				   enum slice_type type,
				   const uint64_t *offsets, unsigned int count,
				   struct slice **slices)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < count; i++) {
		struct slice *slice;

		if (look_up(&image->cache, type, offsets[i]))
			continue;
		slice = evict(image);
		if (!slice)
			break;
		insert(image, slice, type, offsets[i]);
		slices[n++] = slice;
	}
	image->cache.misses += n;
	return n;
}

static int read_slices(struct qcow_image *image, struct slice *const *slices,
		       unsigned int count, uint8_t *bytes)
{
	uint32_t size = image->cache.slice_size;
	struct piece pieces[CACHE_MOST_AHEAD];
	unsigned int n = 0;
	int ret;

	for (unsigned int i = 0; i < count; i++)
		piece_add(pieces, &n, bytes + (size_t)i * size,
			  slices[i]->offset, size);
	ret = crew_read(&image->crew, &image->file, pieces, n);
	if (!ret)
		slice_swap(slices[0]->type, image->geometry.refcount_order,
			   bytes, (size_t)count * size);
	return ret;
}

void cache_load_ahead(struct qcow_image *image, enum slice_type type,
		      const uint64_t *offsets, unsigned int count, void *bytes)
{
	struct slice *slices[CACHE_MOST_AHEAD];
	unsigned int n = insert_missing(image, type, offsets, count, slices);
	int ret;

	if (!n)
		return;
	image_io_begin(image);
	ret = read_slices(image, slices, n, bytes);
	image_io_end(image);
	for (unsigned int i = 0; i < n; i++) {
		if (ret)
			drop(image, slices[i]);
		else
			make_valid(image, slices[i],
				   (uint64_t *)bytes +
					   i * image->cache.slice_size / 8);
	}
	image_wake(image);
}

unsigned int cache_most_ahead(const struct cache *cache)
{
	return min_u64(CACHE_MOST_AHEAD, cache->count / 4);
}

/* ---- the slices around one ---- */

/* A read of this much takes hardly longer than one of a slice. */
#define AROUND (64u << 10)

static unsigned int slices_around(const struct qcow_image *image)
{
	uint64_t bytes = min_u64(cluster_size(image), AROUND);

	return min_u64(bytes >> image->cache.slice_bits,
		       cache_most_ahead(&image->cache));
}

/* Nothing is dropped for them: the next slots that the hand comes to were
   never used.  One of them is there already. */
static bool has_room_around(const struct qcow_image *image)
{
	const struct cache *cache = &image->cache;
	unsigned int count = slices_around(image) - 1;

	return count && cache->hand + count <= cache->count &&
	       cache->slices[cache->hand].state == SLICE_EMPTY &&
	       !cache->slices[cache->hand + count - 1].data;
}

/* The first slice of these comes alone: a disk whose requests lie far from each
   other needs no more.  The second brings the others. */
static bool has_neighbour(struct qcow_image *image, enum slice_type type,
			  uint64_t offset)
{
	struct cache *cache = &image->cache;
	const uint64_t length = (uint64_t)slices_around(image) *
				cache->slice_size;
	const uint64_t first = round_down(offset, length);

	for (uint64_t at = first; at < first + length; at += cache->slice_size)
		if (look_up(cache, type, at))
			return true;
	return false;
}

/* A table has whole clusters.  If this fails, one slice will be read. */
static void load_around(struct qcow_image *image, enum slice_type type,
			uint64_t offset)
{
	unsigned int count = slices_around(image);
	uint32_t size = image->cache.slice_size;
	uint64_t first = round_down(offset, (uint64_t)count * size);
	uint64_t offsets[CACHE_MOST_AHEAD];
	void *bytes = file_buffer((size_t)count * size);

	for (unsigned int i = 0; i < count; i++)
		offsets[i] = first + (uint64_t)i * size;
	if (bytes)
		cache_load_ahead(image, type, offsets, count, bytes);
	free(bytes);
}

int cache_load(struct qcow_image *image, enum slice_type type, uint64_t offset,
	       struct slice **result)
{
	struct cache *cache = &image->cache;
	bool around = true;

	for (;;) {
		struct slice *slice = look_up(cache, type, offset);

		if (slice && slice->state == SLICE_VALID) {
			*result = slice;
			return 0;
		}
		if (!slice && around && has_room_around(image) &&
		    has_neighbour(image, type, offset)) {
			around = false;
			load_around(image, type, offset);
			continue;
		}
		if (!slice)
			slice = evict(image);
		if (!slice || slice->state == SLICE_LOADING) {
			image_wait(image);
			continue;
		}
		insert(image, slice, type, offset);
		cache->misses++;
		*result = slice;
		return fill(image, slice);
	}
}

void cache_forget(struct qcow_image *image, uint64_t offset, uint64_t length)
{
	struct cache *cache = &image->cache;

	for (uint64_t at = offset; at < offset + length;
	     at += cache->slice_size) {
		for (int type = SLICE_L2; type <= SLICE_REFCOUNT; type++) {
			struct slice *slice = look_up(cache, type, at);

			if (slice && slice->state == SLICE_VALID)
				drop(image, slice);
		}
	}
}
