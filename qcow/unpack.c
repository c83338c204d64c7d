// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Reading compressed clusters.  Unpacking is slow and guests read clusters
 * piece by piece, so the latest clusters are kept, in slots.  A slot is found
 * by the L2 entry.  A reader pins it while the reader fills or copies it; one
 * that is not pinned can be taken for another cluster.  A cluster is unpacked
 * by the first reader that wants it; the others wait.
 *
 * All memory is allocated at creation: the slots, and some streams, each a
 * decoder with a buffer for the packed bytes.  A cluster that was stored in
 * many more bytes than it has was written by no encoder and is an error.
 */
#include <errno.h>
#include <stdlib.h>
#include "qcow/compress.h"
#include "qcow/image.h"

#define CACHE_SIZE  (1u << 20)
#define MAX_STREAMS 4u
#define MAX_SLOTS   64u

struct stream {
	bool busy; /* protected by the unpacker's lock */
	struct decoder
		*decoder; /* these two: of the thread that made it busy */
	uint8_t *input;
};

struct slot {
	uint64_t entry;	   /* whose cluster this is; 0: nobody's */
	bool filling;	   /* the first reader that pinned it unpacks */
	unsigned int pins; /* readers; a pinned slot stays */
	uint64_t used;	   /* the unpacker's clock when last wanted */
	uint8_t *bytes;	   /* a cluster; of its filler, then constant
			      while pinned */
};

struct unpacker {
	uint32_t cluster_bits; /* these four never change */
	unsigned int nr_streams;
	unsigned int nr_slots;
	uint8_t *arena; /* the slots' bytes */

	pthread_mutex_t lock;	/* protects all from here on, but no bytes;
				   never held during I/O or unpacking */
	pthread_cond_t changed; /* a slot or a stream became free */
	uint64_t clock;
	struct stream streams[MAX_STREAMS];
	struct slot slots[MAX_SLOTS];
};

static struct slot *find_entry(struct unpacker *u, uint64_t entry)
{
	for (unsigned int i = 0; i < u->nr_slots; i++)
		if (u->slots[i].entry == entry)
			return &u->slots[i];
	return NULL;
}

/* The slot longest unused, or NULL if all are pinned. */
static struct slot *find_victim(struct unpacker *u)
{
	struct slot *oldest = NULL;

	for (unsigned int i = 0; i < u->nr_slots; i++) {
		struct slot *slot = &u->slots[i];

		if (!slot->pins && (!oldest || slot->used < oldest->used))
			oldest = slot;
	}
	return oldest;
}

static struct stream *find_stream(struct unpacker *u)
{
	for (unsigned int i = 0; i < u->nr_streams; i++)
		if (!u->streams[i].busy)
			return &u->streams[i];
	return NULL;
}

/* Under the lock: a slot to fill, with a stream to do it; NULL if there is
   not both. */
static struct slot *begin_filling(struct unpacker *u, uint64_t entry,
				  struct stream **filler)
{
	struct stream *stream = find_stream(u);
	struct slot *slot = find_victim(u);

	if (!slot || !stream)
		return NULL;
	stream->busy = true;
	slot->entry = entry;
	slot->filling = true;
	*filler = stream;
	return slot;
}

/* Under the lock: the slot that has the cluster, or one to fill with it.
   NULL: wait for a change. */
static struct slot *try_slot(struct unpacker *u, uint64_t entry,
			     struct stream **filler)
{
	struct slot *slot = find_entry(u, entry);

	if (!slot)
		return begin_filling(u, entry, filler);
	return slot->filling ? NULL : slot;
}

/*
 * The cluster's slot, pinned.  If *filler is not NULL afterwards, the caller
 * has to fill the slot with it and then call finish_filling().
 */
static struct slot *pin_slot(struct unpacker *u, uint64_t entry,
			     struct stream **filler)
{
	struct slot *slot;

	*filler = NULL;
	pthread_mutex_lock(&u->lock);
	while (!(slot = try_slot(u, entry, filler)))
		pthread_cond_wait(&u->changed, &u->lock);
	slot->pins++;
	slot->used = ++u->clock;
	pthread_mutex_unlock(&u->lock);
	return slot;
}

static void finish_filling(struct unpacker *u, struct slot *slot,
			   struct stream *stream, bool good)
{
	pthread_mutex_lock(&u->lock);
	stream->busy = false;
	slot->filling = false;
	if (!good)
		slot->entry = 0;
	pthread_cond_broadcast(&u->changed);
	pthread_mutex_unlock(&u->lock);
}

static void unpin_slot(struct unpacker *u, struct slot *slot)
{
	pthread_mutex_lock(&u->lock);
	if (!--slot->pins)
		pthread_cond_broadcast(&u->changed);
	pthread_mutex_unlock(&u->lock);
}

/* ---- reading ---- */

/* A bound that no encoder exceeds for a cluster, even if the cluster does not
   compress. */
static uint32_t longest_stream(uint32_t cluster_bits)
{
	uint32_t size = 1u << cluster_bits;

	return size + size / 64 + QCOW_SECTOR;
}

static size_t input_size(uint32_t cluster_bits)
{
	return longest_stream(cluster_bits) + 2 * MAX_ALIGNMENT;
}

/* The bytes of a stream that exist and may matter. */
static int read_stream(struct unpacker *u, struct file *file, uint64_t entry,
		       uint8_t *buffer, struct bytes *bytes)
{
	uint64_t unit = file->alignment;
	struct compressed where;
	uint64_t size, begin, end;
	int ret = file_size(file, &size);

	if (ret)
		return ret;
	compress_locate(entry, u->cluster_bits, &where);
	if (where.offset >= size)
		return -EIO;
	bytes->length = min_u64(where.length, size - where.offset);
	bytes->length = min_u64(bytes->length, longest_stream(u->cluster_bits));
	begin = round_down(where.offset, unit);
	end = round_up(where.offset + bytes->length, unit);
	bytes->at = buffer + (where.offset - begin);
	return file_read(file, buffer, begin, end - begin);
}

static int fill_slot(struct unpacker *u, struct file *file, uint64_t entry,
		     struct stream *stream, struct slot *slot)
{
	uint32_t size = 1u << u->cluster_bits;
	struct bytes packed;
	int ret = read_stream(u, file, entry, stream->input, &packed);

	if (ret)
		return ret;
	return decoder_unpack(stream->decoder, packed, slot->bytes, size);
}

int unpacker_read(struct unpacker *u, struct file *file, uint64_t entry,
		  void *buffer, uint32_t skip, uint32_t length)
{
	struct stream *stream;
	struct slot *slot = pin_slot(u, entry, &stream);
	int ret = 0;

	if (stream) {
		ret = fill_slot(u, file, entry, stream, slot);
		finish_filling(u, slot, stream, !ret);
	}
	if (!ret)
		memcpy(buffer, slot->bytes + skip, length);
	unpin_slot(u, slot);
	return ret;
}

void unpacker_forget(struct unpacker *u, uint64_t first, uint64_t count)
{
	pthread_mutex_lock(&u->lock);
	for (unsigned int i = 0; i < u->nr_slots; i++) {
		struct slot *slot = &u->slots[i];
		struct compressed where;

		if (!slot->entry)
			continue;
		compress_locate(slot->entry, u->cluster_bits, &where);
		/* The reader of the slot may go on; no other reader finds the
		   slot. */
		if (overlaps(first, count, where.first, where.count))
			slot->entry = 0;
	}
	pthread_mutex_unlock(&u->lock);
}

/* ---- creation ---- */

/* How many of something that is as large as a cluster. */
static unsigned int share_of_cache(uint32_t cluster_bits, unsigned int least,
				   unsigned int most)
{
	return max_u64(least, min_u64(most, CACHE_SIZE >> cluster_bits));
}

static int stream_create(struct stream *stream, enum compression type,
			 uint32_t cluster_bits)
{
	stream->input = file_buffer(input_size(cluster_bits));
	if (!stream->input)
		return -ENOMEM;
	return decoder_create(type, &stream->decoder);
}

static int create_parts(struct unpacker *u, enum compression type)
{
	size_t size = 1u << u->cluster_bits;
	int ret = 0;

	u->arena = file_buffer(u->nr_slots * size);
	if (!u->arena)
		return -ENOMEM;
	for (unsigned int i = 0; i < u->nr_slots; i++)
		u->slots[i].bytes = u->arena + i * size;
	for (unsigned int i = 0; i < u->nr_streams && !ret; i++)
		ret = stream_create(&u->streams[i], type, u->cluster_bits);
	return ret;
}

int unpacker_create(enum compression type, uint32_t cluster_bits,
		    struct unpacker **unpacker)
{
	struct unpacker *u;
	int ret;

	if (type != COMPRESSION_DEFLATE && type != COMPRESSION_ZSTD)
		return -ENOTSUP;
	u = calloc(1, sizeof(*u));
	if (!u)
		return -ENOMEM;
	u->cluster_bits = cluster_bits;
	u->nr_slots = share_of_cache(cluster_bits, 2, MAX_SLOTS);
	u->nr_streams = share_of_cache(cluster_bits, 1, MAX_STREAMS);
	pthread_mutex_init(&u->lock, NULL);
	pthread_cond_init(&u->changed, NULL);
	ret = create_parts(u, type);
	if (ret) {
		unpacker_destroy(u);
		return ret;
	}
	*unpacker = u;
	return 0;
}

void unpacker_destroy(struct unpacker *u)
{
	if (!u)
		return;
	for (unsigned int i = 0; i < u->nr_streams; i++) {
		decoder_destroy(u->streams[i].decoder);
		free(u->streams[i].input);
	}
	pthread_cond_destroy(&u->changed);
	pthread_mutex_destroy(&u->lock);
	free(u->arena);
	free(u);
}
