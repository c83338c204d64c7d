// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Fuzz target: a sound image in a life, and the input is its journal.  The
 * input has the position where the journal begins, and then groups.  Each group
 * is a byte that tells the number of its assignments, and these assignments.
 * The target seals the groups, because no mutation would find a checksum.
 *
 * The first byte's lowest bit leaves the rest unsealed, as it is; the next bit
 * takes an image with subclusters.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>
#include "memory.h"
#include "tests/lib/helpers.h"
#include "qcow/image.h"

#define JOURNAL_SIZE (16u << 10)
#define HEADER_SIZE  4096u
#define WORDS	     ((JOURNAL_SIZE - HEADER_SIZE) / 8)
/* Fields of the journal's header: the position, and the number that seals
   it. */
#define START	    offsetof(struct journal_header, start)
#define NONCE	    offsetof(struct journal_header, nonce)
#define AS_IT_IS    1u /* bits of the first byte */
#define SUBCLUSTERS 2u

/* Commands of the shell; $i is the image. */
static const char *const recipes[2] = {
	"qemu-img create -q -f qcow2 -o cluster_size=512 $i 64k;"
	"qemu-io -f qcow2 -c 'write -q 0 2048' -c 'write -q -c 4096 512' $i",
	"qemu-img create -q -f qcow2 -o cluster_size=16k,extended_l2=on $i 96k;"
	"qemu-io -f qcow2 -c 'write -q 512 2048' -c 'write -q -z 1k 512' $i",
};

/* An image in a life, and its journal, as a process that dies leaves them. */
static struct dead {
	uint8_t *image;
	size_t size;
	uint8_t journal[JOURNAL_SIZE];
} dead[2];

struct input {
	const uint8_t *at;
	size_t left;
};

static uint64_t take(struct input *input, unsigned int width)
{
	uint64_t value = 0;

	for (; width && input->left; width--, input->left--)
		value = value << 8 | *input->at++;
	return value;
}

static struct qcow_options options_of(const struct memory *memory)
{
	struct qcow_options options = memory_options(memory, false);

	options.journal_size = JOURNAL_SIZE;
	return options;
}

static void make_image(const char *recipe)
{
	char *path = scratch_path("sound");
	size_t size;
	uint8_t *bytes;

	must_run("i=%s; rm -f $i; %s", path, recipe);
	bytes = read_file(path, &size);
	memory_load(bytes, size);
	free(bytes);
	free(path);
}

static void keep(const struct memory *memory, struct dead *left)
{
	size_t size;
	uint8_t *journal = read_file(memory->journal, &size);

	if (!journal || size != JOURNAL_SIZE)
		memory_complain("no journal");
	memcpy(left->journal, journal, JOURNAL_SIZE);
	free(journal);
	left->size = memory->size;
	left->image = malloc(memory->size);
	memcpy(left->image, memory->bytes, memory->size);
}

static void begin_life(unsigned int which)
{
	struct memory *memory = memory_load(NULL, 0);
	struct qcow_options options = options_of(memory);
	struct qcow_image *image;
	struct qcow_error error;
	uint8_t bytes[512] = { 1 };

	make_image(recipes[which]);
	if (qcow_open(memory->path, &options, &image, &error))
		memory_complain(error.text);
	if (qcow_write(image, bytes, 0, sizeof(bytes)))
		memory_complain("cannot write");
	keep(memory, &dead[which]);
	qcow_close(image);
}

static void put_word(uint8_t *journal, uint64_t position, uint64_t word)
{
	memcpy(journal + HEADER_SIZE + position % WORDS * 8, &word, 8);
}

static uint64_t seal(const uint8_t *journal, uint64_t position,
		     const uint64_t *body, unsigned int words)
{
	uint64_t head[2] = { position };
	uint32_t sum;

	memcpy(&head[1], journal + NONCE, 8);
	sum = crc32(0, (const Bytef *)head, sizeof(head));
	sum = crc32(sum, (const Bytef *)body, words * 8);
	return (uint64_t)sum << 32 | (position / WORDS & 0xffff) << 16 | words;
}

static uint64_t put_group(uint8_t *journal, uint64_t position,
			  struct input *input)
{
	unsigned int words = 2 * (take(input, 1) % 65);
	uint64_t body[GROUP_WORDS + 2];

	for (unsigned int i = 0; i < words; i++) {
		body[i] = take(input, 8);
		put_word(journal, position + 1 + i, body[i]);
	}
	put_word(journal, position, seal(journal, position, body, words));
	return position + 1 + words;
}

static void put_groups(uint8_t *journal, struct input *input)
{
	uint64_t start = take(input, 8), position = start;

	memcpy(journal + START, &start, 8);
	while (input->left && position - start < WORDS - 200)
		position = put_group(journal, position, input);
	put_word(journal, position, 0);
}

static void put_bytes(uint8_t *journal, const struct input *input)
{
	memcpy(journal, input->at, min_u64(input->left, JOURNAL_SIZE));
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	uint8_t journal[JOURNAL_SIZE];
	struct input input = { bytes, size };
	struct qcow_options options;
	struct memory *memory;
	struct dead *left;
	uint64_t bits = take(&input, 1);

	left = &dead[bits & SUBCLUSTERS ? 1 : 0];
	if (!left->image)
		begin_life(left - dead);
	memcpy(journal, left->journal, sizeof(journal));
	if (bits & AS_IT_IS)
		put_bytes(journal, &input);
	else
		put_groups(journal, &input);
	memory = memory_load(left->image, left->size);
	write_file(memory->journal, journal, sizeof(journal));
	options = options_of(memory);
	memory_use(memory, &options, memory_hash(bytes, size));
	unlink(memory->journal);
	return 0;
}
