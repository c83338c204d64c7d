// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The disk in memory.  The engine still opens and locks a file, which is empty.
 * It lies in a directory on a tmpfs, with a backing file and the journal.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include "memory.h"
#include "tests/lib/clear.h"
#include "tests/lib/helpers.h"
#include "qcow/image.h"

#define READ_MOST  (1u << 20) /* bytes, of a huge disk */
#define OPERATIONS 12
#define LONGEST	   (40u << 10)

static int memory_read(void *disk, void *buffer, uint64_t offset, size_t length)
{
	const struct memory *memory = disk;
	size_t n = offset < memory->size ?
			   min_u64(length, memory->size - offset) :
			   0;

	if (n)
		memcpy(buffer, memory->bytes + offset, n);
	memset((char *)buffer + n, 0, length - n);
	return 0;
}

static int memory_write(void *disk, const void *buffer, uint64_t offset,
			size_t length)
{
	struct memory *memory = disk;

	if (offset > MEMORY_CAPACITY || length > MEMORY_CAPACITY - offset)
		return -ENOSPC;
	memcpy(memory->bytes + offset, buffer, length);
	memory->size = max_u64(memory->size, offset + length);
	return 0;
}

static int memory_sync(void *disk)
{
	(void)disk;
	return 0;
}

static int memory_punch(void *disk, uint64_t offset, uint64_t length)
{
	struct memory *memory = disk;

	if (offset < memory->size)
		memset(memory->bytes + offset, 0,
		       min_u64(length, memory->size - offset));
	return 0;
}

static uint64_t memory_size(void *disk)
{
	return ((const struct memory *)disk)->size;
}

static const struct qcow_file_ops memory_ops = {
	.read = memory_read,
	.write = memory_write,
	.sync = memory_sync,
	.punch = memory_punch,
	.size = memory_size,
};

/* The engine names the journal after the file. */
static void find_journal(struct memory *memory)
{
	struct qcow_identity id;

	if (qcow_identify_path(memory->path, &id) || !id.birth)
		memory_complain("identify");
	snprintf(memory->journal, sizeof(memory->journal),
		 "%s/%u:%u-%llu-%llu.journal", memory->directory,
		 major(id.device), minor(id.device),
		 (unsigned long long)id.inode, (unsigned long long)id.birth);
}

/* Puts a backing file beside the image; the seeds name this file. */
static void put_base(void)
{
	char *path = scratch_path("base.raw");
	char text[4096];

	memset(text, 'r', sizeof(text));
	write_file(path, text, sizeof(text));
	free(path);
}

static struct memory *create(void)
{
	static struct memory memory;

	memory.bytes = calloc(1, MEMORY_CAPACITY);
	snprintf(memory.directory, sizeof(memory.directory), "%s", scratch());
	snprintf(memory.path, sizeof(memory.path), "%s/image", scratch());
	write_file(memory.path, "", 0);
	find_journal(&memory);
	put_base();
	memory.hooks = (struct qcow_test_hooks){
		.ops = &memory_ops,
		.disk = &memory,
	};
	return &memory;
}

struct memory *memory_load(const uint8_t *bytes, size_t size)
{
	static struct memory *memory;

	if (!memory)
		memory = create();
	memset(memory->bytes, 0, memory->size);
	memory->size = min_u64(size, MEMORY_CAPACITY);
	if (size)
		memcpy(memory->bytes, bytes, memory->size);
	return memory;
}

struct qcow_options memory_options(const struct memory *memory, bool read_only)
{
	return (struct qcow_options){
		.read_only = read_only,
		.cache = QCOW_CACHE_WRITEBACK,
		.journal_dir = memory->directory,
		.journal_size = 16u << 10,
		.cache_size = 64u << 10,
		.inline_checkpoint = true,
		.test = &memory->hooks,
	};
}

/* ---- a bit of everything ---- */

static uint8_t buffer[LONGEST] __attribute__((aligned(4096)));

static void read_part(struct qcow_image *image, uint64_t from, uint64_t to)
{
	while (from < to) {
		uint64_t length = min_u64(to - from, 4096);

		qcow_read(image, buffer, from, length);
		from += length;
	}
}

static void read_ends(struct qcow_image *image)
{
	uint64_t size = qcow_size(image);

	read_part(image, 0, min_u64(size, READ_MOST));
	if (size > READ_MOST)
		read_part(image, max_u64(READ_MOST, size - 4096), size);
}

static void change(struct qcow_image *image, struct random *random)
{
	uint64_t size = qcow_size(image);
	/* Mostly a place where the seeds have something. */
	uint64_t near = random_below(random, 8) ? min_u64(size, 128u << 10) :
						  size;
	uint64_t offset = 512 * random_below(random, near / 512);
	uint64_t length = min_u64(
		size - offset, 512 * (1 + random_below(random, LONGEST / 512)));

	memset(buffer, 'w', length);
	switch (random_below(random, 10)) {
	case 0:
		qcow_discard(image, offset, length);
		break;
	case 1:
		qcow_write_zeroes(image, offset, length, true);
		break;
	case 2:
		qcow_write_zeroes(image, offset, length, false);
		break;
	case 3:
		clear_discard(image, offset, length);
		break;
	case 4:
		clear_zeroes(image, offset, length, true);
		break;
	case 5:
		qcow_flush(image);
		break;
	default:
		qcow_write(image, buffer, offset, length);
	}
}

void memory_use(const struct memory *memory, const struct qcow_options *options,
		uint64_t seed)
{
	struct random random = { seed };
	struct qcow_error error;
	struct qcow_image *image;

	if (qcow_open(memory->path, options, &image, &error))
		return;
	read_ends(image);
	for (unsigned int n = 0; n < OPERATIONS && !options->read_only; n++)
		change(image, &random);
	read_ends(image);
	qcow_close(image);
}

void memory_complain(const char *what)
{
	fprintf(stderr, "%s\n", what);
	abort();
}

/* FNV-1a */
uint64_t memory_hash(const uint8_t *bytes, size_t size)
{
	uint64_t hash = 0xcbf29ce484222325ull;

	for (size_t i = 0; i < size; i++)
		hash = (hash ^ bytes[i]) * 0x100000001b3ull;
	return hash;
}
