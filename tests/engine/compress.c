// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Compressed clusters as qemu-img writes them, of every size and both types.
 * Each unpacked cluster must equal the output of `qemu-img convert -O raw`.
 *
 * Then the same clusters are broken.  The answer must be -EIO or a cluster, and
 * never anything else.  Any cluster will do, because the streams carry no
 * checksum.  If bytes are missing, the answer must be -EIO.
 *
 * Then many threads read at once, with clusters forgotten in between.
 *
 * usage: compress [SEED]
 */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "tests/engine/compress-sample.h"
#include "qcow/bits.h"
#include "qcow/file.h"
#include "qcow/format.h"

#define THREADS	     8
#define THREAD_BYTES (24u << 20)

/* The image's bytes in memory, to be broken there. */
struct memory {
	uint8_t *bytes;
	size_t size;
};

static int memory_read(void *disk, void *buffer, uint64_t offset, size_t length)
{
	struct memory *memory = disk;
	size_t n = offset < memory->size ?
			   min_u64(length, memory->size - offset) :
			   0;

	memcpy(buffer, memory->bytes + min_u64(offset, memory->size), n);
	memset((char *)buffer + n, 0, length - n);
	return 0;
}

static uint64_t memory_size(void *disk)
{
	return ((struct memory *)disk)->size;
}

static const struct qcow_file_ops memory_ops = {
	.read = memory_read,
	.size = memory_size,
};

static struct unpacker *new_unpacker(const struct sample *sample)
{
	struct unpacker *unpacker;

	if (unpacker_create(sample->type, sample->cluster_bits, &unpacker))
		die("%s: cannot make an unpacker", sample->what);
	return unpacker;
}

static void open_sample(const struct sample *sample, enum qcow_cache cache,
			struct file *file)
{
	struct qcow_options options = { .read_only = true, .cache = cache };
	struct qcow_error error;

	if (file_open(file, sample->path, &options, &error))
		die("%s: %s", sample->path, error.text);
}

/* Do these bytes stand at this place of the disk?  Behind its end are zeros. */
static bool is_right(const struct sample *sample, const uint8_t *bytes,
		     uint64_t at, uint32_t length)
{
	uint32_t inside = min_u64(length, sample->size - at);

	if (memcmp(bytes, sample->raw + at, inside))
		return false;
	for (uint32_t i = inside; i < length; i++)
		if (bytes[i])
			return false;
	return true;
}

static void test_all(const struct sample *sample, enum qcow_cache cache)
{
	struct unpacker *unpacker = new_unpacker(sample);
	uint32_t size = 1u << sample->cluster_bits;
	uint8_t *bytes = malloc(size);
	struct file file;

	open_sample(sample, cache, &file);
	for (unsigned int i = 0; i < sample->count; i++) {
		int ret = unpacker_read(unpacker, &file, sample->found[i].entry,
					bytes, 0, size);

		if (ret ||
		    !is_right(sample, bytes, sample->found[i].guest, size))
			die("%s: cluster at %lu: %s", sample->what,
			    sample->found[i].guest,
			    ret ? strerror(-ret) : "wrong");
	}
	file_close(&file);
	unpacker_destroy(unpacker);
	free(bytes);
}

/* ---- broken streams ---- */

/* Flips or cuts something in the bytes of an entry. */
static void break_something(struct memory *memory,
			    const struct compressed *where,
			    struct random *random)
{
	uint32_t length = min_u64(where->length, memory->size - where->offset);
	uint8_t *stream = memory->bytes + where->offset;
	unsigned int flips = 1 + random_below(random, 4);

	if (!random_below(random, 4)) {
		memory->size = where->offset + random_below(random, length);
		return;
	}
	/* The first bytes matter most: they tell how to read the rest. */
	if (random_below(random, 2))
		length = min_u64(length, 20);
	while (flips--)
		stream[random_below(random, length)] ^= 1 << random_below(
								random, 8);
}

static void read_broken(const struct sample *sample, struct unpacker *unpacker,
			struct file *file, uint64_t entry, uint8_t *bytes)
{
	int ret = unpacker_read(unpacker, file, entry, bytes, 0,
				1u << sample->cluster_bits);

	if (ret && ret != -EIO)
		die("%s: broken cluster: %s", sample->what, strerror(-ret));
	unpacker_forget(unpacker, 0, UINT64_MAX);
}

/* A sample in memory, where it can be broken. */
struct copy {
	struct memory memory;
	struct qcow_test_hooks hooks;
	struct file file;
	struct unpacker *unpacker;
};

static void open_copy(struct copy *copy, const struct sample *sample)
{
	*copy = (struct copy){
		.hooks = { .ops = &memory_ops, .disk = &copy->memory },
		.file = { .fd = -1, .alignment = 512, .test = &copy->hooks },
		.unpacker = new_unpacker(sample),
	};
	copy->memory.bytes = read_file(sample->path, &copy->memory.size);
}

static void close_copy(struct copy *copy)
{
	unpacker_destroy(copy->unpacker);
	free(copy->memory.bytes);
}

/* Reads a byte of the sample's first cluster. */
static int read_first(struct copy *copy, const struct sample *sample)
{
	uint8_t byte;

	return unpacker_read(copy->unpacker, &copy->file,
			     sample->found[0].entry, &byte, 0, 1);
}

static void test_broken(const struct sample *sample, struct random *random)
{
	size_t whole;
	uint8_t *sound = read_file(sample->path, &whole);
	uint8_t *bytes = malloc(1u << sample->cluster_bits);
	struct copy copy;

	open_copy(&copy, sample);
	for (unsigned int n = 0; n < 300 * effort(); n++) {
		unsigned int i = random_below(random, sample->count);
		uint64_t entry = sample->found[i].entry;
		struct compressed where;

		compress_locate(entry, sample->cluster_bits, &where);
		break_something(&copy.memory, &where, random);
		read_broken(sample, copy.unpacker, &copy.file, entry, bytes);
		copy.memory.size = whole;
		memcpy(copy.memory.bytes + where.offset, sound + where.offset,
		       min_u64(where.length, whole - where.offset));
		/* an entry that points anywhere */
		entry = random_below(random, whole * 2) |
			random_next(random) << (62 - sample->cluster_bits + 8);
		read_broken(sample, copy.unpacker, &copy.file,
			    entry | ENTRY_COMPRESSED, bytes);
	}
	close_copy(&copy);
	free(sound);
	free(bytes);
}

/* A file that ends in the middle of a stream, or before it. */
static void test_cut(const struct sample *sample)
{
	struct compressed where;
	struct copy copy;

	open_copy(&copy, sample);
	compress_locate(sample->found[0].entry, sample->cluster_bits, &where);
	for (unsigned int left = 0; left < 4; left++) {
		copy.memory.size = where.offset + left;
		if (read_first(&copy, sample) != -EIO)
			die("%s: %u bytes make a cluster", sample->what, left);
	}
	close_copy(&copy);
}

/* ---- many threads ---- */

struct crowd {
	const struct sample *sample;
	struct unpacker *unpacker;
	struct file *file;
	uint64_t seed;
	unsigned int reads;
};

static void read_some(struct crowd *crowd, struct random *random,
		      uint8_t *bytes)
{
	const struct sample *sample = crowd->sample;
	/* Mostly the same few, so that there are hits. */
	unsigned int i = random_below(random, sample->count);
	uint32_t size = 1u << sample->cluster_bits;
	uint32_t skip = random_below(random, size);
	uint32_t length = 1 + random_below(random, size - skip);
	uint64_t at;
	int ret;

	if (random_below(random, 4))
		i %= 8;
	at = sample->found[i].guest + skip;
	ret = unpacker_read(crowd->unpacker, crowd->file,
			    sample->found[i].entry, bytes, skip, length);
	if (ret || (at < sample->size && !is_right(sample, bytes, at, length)))
		die("%s: thread: cluster at %lu: %s", sample->what, at,
		    ret ? strerror(-ret) : "wrong");
	if (!random_below(random, 16))
		unpacker_forget(crowd->unpacker, random_below(random, 64), 1);
}

static void *run_reader(void *argument)
{
	struct crowd crowd = *(struct crowd *)argument;
	struct random random = { .state = crowd.seed };
	uint8_t *bytes = malloc(1u << crowd.sample->cluster_bits);

	for (unsigned int n = 0; n < crowd.reads; n++)
		read_some(&crowd, &random, bytes);
	free(bytes);
	return NULL;
}

static void test_threads(const struct sample *sample)
{
	struct file file;
	struct crowd crowds[THREADS];
	pthread_t threads[THREADS];
	struct unpacker *unpacker = new_unpacker(sample);

	open_sample(sample, QCOW_CACHE_WRITEBACK, &file);
	for (unsigned int i = 0; i < THREADS; i++) {
		crowds[i] = (struct crowd){
			sample,
			unpacker,
			&file,
			i,
			(THREAD_BYTES >> sample->cluster_bits) * effort(),
		};
		if (pthread_create(&threads[i], NULL, run_reader, &crowds[i]))
			die("cannot start a thread");
	}
	for (unsigned int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	file_close(&file);
	unpacker_destroy(unpacker);
}

/* ---- reads of a cluster that was forgotten ---- */

static void test_forget(const struct sample *sample)
{
	struct compressed where;
	struct copy copy;

	open_copy(&copy, sample);
	compress_locate(sample->found[0].entry, sample->cluster_bits, &where);
	if (read_first(&copy, sample))
		die("%s: first read", sample->what);
	memset(copy.memory.bytes + where.offset, 0xff, 8);
	if (read_first(&copy, sample))
		die("%s: not remembered", sample->what);
	unpacker_forget(copy.unpacker, where.first, where.count);
	if (read_first(&copy, sample) != -EIO)
		die("%s: not forgotten", sample->what);
	close_copy(&copy);
}

static unsigned int test_one(const char *compat, enum compression type,
			     uint32_t cluster_bits, struct random *random)
{
	static struct sample sample;
	unsigned int count;

	sample = (struct sample){ .cluster_bits = cluster_bits, .type = type };
	sample_make(&sample, compat, random);
	test_all(&sample, QCOW_CACHE_NONE);
	test_all(&sample, QCOW_CACHE_WRITEBACK);
	test_cut(&sample);
	test_forget(&sample);
	if (cluster_bits <= 16)
		test_broken(&sample, random);
	if (cluster_bits == 12 || cluster_bits == 16 || cluster_bits == 21)
		test_threads(&sample);
	count = sample.count;
	sample_free(&sample);
	return count;
}

int main(int argc, char **argv)
{
	struct random random = {
		.state = argc > 1 ? strtoull(argv[1], NULL, 0) : 1,
	};
	unsigned int count = 0;

	for (uint32_t bits = MIN_CLUSTER_BITS; bits <= MAX_CLUSTER_BITS;
	     bits++) {
		count += test_one("0.10", COMPRESSION_DEFLATE, bits, &random);
		count += test_one("1.1", COMPRESSION_DEFLATE, bits, &random);
		count += test_one("1.1", COMPRESSION_ZSTD, bits, &random);
	}
	printf("%u compressed clusters\n", count);
	return 0;
}
