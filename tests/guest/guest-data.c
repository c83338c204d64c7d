// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Reads the blocks that the guest without a kernel (guest/guest.c) left on a
 * disk, and prints how many blocks it wrote.
 *
 * usage: guest-data FILE
 *
 * The guest writes its blocks in a known order, pass after pass, a batch at a
 * time.  So after W blocks the first W % BLOCKS in that order hold the number
 * of one pass, and all others the number of the pass before.  The next batch
 * may have been under way, each of its sectors old or new.  Anything else on
 * the disk is damage: status 1.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* These are the same as in guest.c. */
enum {
	BLOCKS = 512,
	STRIDE = 16, /* sectors */
	FIRST = 128, /* sector of the region */
	LENGTH = 8,  /* sectors of a block */
	JUMP = 0x9e5,
	BATCH = 16,
	WORDS = 128, /* in a sector */
	SECTOR = 512,
};

/* The passes that wrote a block's sectors. */
struct block {
	uint32_t oldest;
	uint32_t newest;
};

static int complain(const char *what, uint32_t number)
{
	fprintf(stderr, "guest-data: %s %" PRIu32 "\n", what, number);
	return 1;
}

static uint32_t sector_of(uint32_t block)
{
	return FIRST + (block * JUMP & (BLOCKS - 1)) * STRIDE;
}

static bool is_zero(const uint32_t *words)
{
	for (int i = 0; i < WORDS; i++)
		if (words[i])
			return false;
	return true;
}

/* The pass that wrote the sector, 0 for none; false: it is damaged. */
static bool pass_of(const uint32_t *words, uint32_t sector, uint32_t *pass)
{
	uint32_t word;

	*pass = words[0];
	if (is_zero(words))
		return true;
	word = words[0] ^ (sector << 16 | sector >> 16);
	if (!words[0] || words[1] != sector)
		return false;
	for (int i = 2; i < WORDS; i++) {
		word = word * 1664525 + 1013904223;
		if (words[i] != word)
			return false;
	}
	return true;
}

/* Reads which passes wrote the sectors of a block. */
static int read_block(int fd, uint32_t number, struct block *block)
{
	uint32_t words[LENGTH][WORDS], sector = sector_of(number), pass;

	if (pread(fd, words, sizeof(words), (off_t)sector * SECTOR) !=
	    sizeof(words))
		return complain("cannot read block", number);
	*block = (struct block){ .oldest = UINT32_MAX };
	for (uint32_t i = 0; i < LENGTH; i++) {
		if (!pass_of(words[i], sector + i, &pass))
			return complain("damaged: block", number);
		if (pass > block->newest)
			block->newest = pass;
		if (pass < block->oldest)
			block->oldest = pass;
	}
	return 0;
}

/* The number of blocks that were written: whole batches. */
static uint32_t count_written(const struct block blocks[BLOCKS])
{
	uint32_t passes = UINT32_MAX, more = 0;

	for (int i = BLOCKS - BATCH; i < BLOCKS; i++)
		if (blocks[i].oldest < passes)
			passes = blocks[i].oldest;
	while (more < BLOCKS && blocks[more].oldest > passes)
		more++;
	return passes * BLOCKS + more / BATCH * BATCH;
}

/* Are so many blocks written, and nothing else? */
static int verify(const struct block blocks[BLOCKS], uint32_t written)
{
	uint32_t more = written % BLOCKS, right;

	for (uint32_t i = 0; i < BLOCKS; i++) {
		right = written / BLOCKS + (i < more);
		if (blocks[i].oldest < right)
			return complain("lost or stale: block", i);
		if (blocks[i].newest > right + (i / BATCH == more / BATCH))
			return complain("ahead of its time: block", i);
	}
	return 0;
}

int main(int argc, char **argv)
{
	struct block blocks[BLOCKS];
	uint32_t written;
	int fd;

	if (argc != 2) {
		fprintf(stderr, "usage: guest-data FILE\n");
		return 2;
	}
	fd = open(argv[1], O_RDONLY | O_CLOEXEC);
	if (fd < 0) {
		fprintf(stderr, "guest-data: %s: %s\n", argv[1],
			strerror(errno));
		return 1;
	}
	for (uint32_t i = 0; i < BLOCKS; i++)
		if (read_block(fd, i, &blocks[i]))
			return 1;
	close(fd);
	written = count_written(blocks);
	if (verify(blocks, written))
		return 1;
	printf("%" PRIu32 "\n", written);
	return 0;
}
