// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Threads write side by side, into the same clusters, until SIGKILL ends the
 * process.  Then the next process replays the journal and checks the disk.  The
 * images have clusters of several sizes.
 *
 * Each thread owns every n-th block of the first half of the disk, so that they
 * share each cluster that is large enough.  It also owns a stretch of the
 * second half alone, where it also discards and writes zeroes.  Shared memory
 * survives the killed process.  It holds, for each block, the generation that
 * was begun last and the one that was acknowledged last.  Afterwards the block
 * must hold the acknowledged generation or a later one that was begun (P1).
 * After the end, qemu-img check must find no error (P3).
 *
 * usage: threads [KILLS [SEED]]
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>
#include "tests/lib/clear.h"
#include "tests/lib/helpers.h"
#include "tests/lib/operations.h"
#include "qcow/image.h"

#define THREADS	      4u
#define BLOCK	      4096u
#define SECTOR	      512u
#define SIZE	      (16u << 20)
#define BLOCKS	      (SIZE / BLOCK)
#define SHARED_BLOCKS (BLOCKS / 2)
#define OWN_BLOCKS    ((BLOCKS - SHARED_BLOCKS) / THREADS)
#define PIECE	      65536u /* is made zero at once */
#define PER_PIECE     (PIECE / BLOCK)

static const struct kind {
	const char *options;
	bool discards; /* a piece is whole clusters */
} kinds[] = {
	{ "cluster_size=64k", true },
	{ "cluster_size=512,refcount_bits=64", true },
	{ "cluster_size=4k,refcount_bits=1", true },
	{ "cluster_size=32k,extended_l2=on", true },
	{ "cluster_size=2M", false },
}, *kind = kinds;

/* A block holds its generation; generation 0 reads as zero. */
struct block {
	_Atomic uint32_t begun, acked;
	/* A change to zeros is under way or was the last acknowledged. */
	_Atomic bool zero_begun, zero_acked;
};

static struct shared {
	struct block blocks[BLOCKS];
	_Atomic uint64_t operations;
	_Atomic bool failed;
} * shared;

struct worker {
	struct qcow_image *image;
	unsigned int index;
	struct random random;
	bool until_done;
	uint8_t *bytes;
};

static uint64_t word(uint32_t block, uint32_t generation)
{
	return (uint64_t)generation << 32 | (block + 1);
}

static void fill(uint8_t *bytes, uint32_t block, uint32_t generation)
{
	uint64_t w = word(block, generation);

	for (unsigned int i = 0; i < BLOCK; i += 8)
		memcpy(bytes + i, &w, 8);
}

static void check(int ret, const char *what)
{
	if (!ret)
		return;
	fprintf(stderr, "%s: %s\n", what, strerror(-ret));
	shared->failed = true;
	_exit(1);
}

/* The bytes, and the zeros around them. */
static int put_extent(int fd, const uint8_t *bytes, const struct qcow_extent *e)
{
	static const uint8_t zeroes[2u << 20] __attribute__((aligned(4096)));
	const struct iovec parts[] = {
		{ (void *)zeroes, e->zero_before },
		{ (void *)bytes, e->length },
		{ (void *)zeroes, e->zero_after },
	};
	ssize_t length = e->zero_before + e->length + e->zero_after;

	return pwritev(fd, parts, 3, e->offset - e->zero_before) == length ?
		       0 :
		       -EIO;
}

/* Writes like a queue: mapped if possible, blocking else. */
static int put(struct qcow_image *image, const uint8_t *bytes, uint64_t offset)
{
	struct qcow_io io;
	int fd, ret = qcow_map_write(image, &io, offset, BLOCK);

	if (ret)
		return qcow_write(image, bytes, offset, BLOCK);
	qcow_fds(image, &fd, 1);
	for (unsigned int i = 0; i < io.nr_extents && !ret; i++) {
		ret = put_extent(fd, bytes, &io.extents[i]);
		bytes += io.extents[i].length;
	}
	return qcow_finish(image, &io, ret);
}

static void write_block(struct worker *worker, uint32_t block)
{
	struct block *b = &shared->blocks[block];
	uint32_t generation = b->begun + 1;

	b->begun = generation;
	fill(worker->bytes, block, generation);
	check(put(worker->image, worker->bytes, (uint64_t)block * BLOCK),
	      "write");
	b->zero_acked = false;
	b->zero_begun = false;
	b->acked = generation;
}

static void zero_piece(struct worker *worker, uint32_t block)
{
	uint32_t first = block / PER_PIECE * PER_PIECE;
	uint64_t offset = (uint64_t)first * BLOCK;
	int ret;

	for (uint32_t n = first; n < first + PER_PIECE; n++)
		shared->blocks[n].zero_begun = true;
	if (kind->discards && random_below(&worker->random, 2))
		ret = clear_discard(worker->image, offset, PIECE);
	else
		ret = clear_zeroes(worker->image, offset, PIECE,
				   random_below(&worker->random, 2));
	check(ret, "zeroes");
	for (uint32_t n = first; n < first + PER_PIECE; n++)
		shared->blocks[n].zero_acked = true;
}

static bool is_allowed(const struct block *b, uint32_t block, uint64_t w)
{
	uint32_t generation = w >> 32;

	if (w == 0)
		return b->zero_begun || b->zero_acked || b->acked == 0;
	if (w != word(block, generation))
		return false;
	if (b->zero_acked)
		return generation > b->acked && generation <= b->begun;
	return generation >= b->acked && generation <= b->begun;
}

static void check_sector(const uint8_t *bytes, uint32_t block)
{
	const struct block *b = &shared->blocks[block];
	uint64_t w;

	memcpy(&w, bytes, 8);
	if (memcmp(bytes, bytes + 8, SECTOR - 8) != 0) {
		fprintf(stderr, "a sector of block %u is torn\n", block);
		check(-EIO, "verify");
	}
	if (is_allowed(b, block, w))
		return;
	fprintf(stderr, "block %u holds %#lx; acked %u%s, begun %u%s\n", block,
		w, b->acked, b->zero_acked ? " zeroed" : "", b->begun,
		b->zero_begun ? " zeroing" : "");
	check(-EIO, "verify");
}

/* A write in flight at the kill may have landed in some sectors alone. */
static void check_block(struct qcow_image *image, uint8_t *bytes,
			uint32_t block)
{
	check(qcow_read(image, bytes, (uint64_t)block * BLOCK, BLOCK), "read");
	for (unsigned int i = 0; i < BLOCK; i += SECTOR)
		check_sector(bytes + i, block);
}

static uint32_t draw_block(struct worker *worker, bool *own)
{
	*own = random_below(&worker->random, 3) == 0;
	if (*own)
		return SHARED_BLOCKS + worker->index * OWN_BLOCKS +
		       random_below(&worker->random, OWN_BLOCKS);
	return random_below(&worker->random, SHARED_BLOCKS / THREADS) *
		       THREADS +
	       worker->index;
}

static void *work(void *argument)
{
	struct worker *worker = argument;
	bool own;

	for (unsigned int n = 0; !worker->until_done || n < 4000; n++) {
		uint32_t block = draw_block(worker, &own);
		unsigned int what = random_below(&worker->random, 100);

		if (what < 1)
			check(qcow_flush(worker->image), "flush");
		else if (what < 15)
			check_block(worker->image, worker->bytes, block);
		else if (own && what < 40)
			zero_piece(worker, block);
		else
			write_block(worker, block);
		shared->operations++;
	}
	return NULL;
}

static struct qcow_image *open_image(const char *path)
{
	struct qcow_error error = { "" };
	struct qcow_image *image;
	struct qcow_options options = {
		.journal_dir = scratch(),
		.journal_size = 64u << 10,
		.cache_size = 1, /* as small as it gets */
	};

	if (qcow_open(path, &options, &image, &error)) {
		fprintf(stderr, "open: %s\n", error.text);
		shared->failed = true;
		_exit(1);
	}
	return image;
}

/* Whatever the block holds now counts as acknowledged. */
static void settle(const uint8_t *bytes, struct block *b)
{
	uint64_t w;

	memcpy(&w, bytes, 8);
	b->zero_acked = b->zero_begun = w == 0;
	if (w)
		b->acked = w >> 32;
	else
		b->acked = b->begun;
}

/* This comes first after a replay.  It settles the writes in flight. */
static void verify_all(struct qcow_image *image)
{
	struct worker worker = {
		.image = image,
		.bytes = aligned_alloc(4096, BLOCK),
	};

	for (uint32_t n = 0; n < BLOCKS; n++) {
		check_block(image, worker.bytes, n);
		if (memcmp(worker.bytes, worker.bytes + 8, BLOCK - 8) != 0)
			write_block(&worker, n);
		else
			settle(worker.bytes, &shared->blocks[n]);
	}
	free(worker.bytes);
}

static void child(const char *path, uint64_t seed, bool until_done)
{
	struct qcow_image *image = open_image(path);
	struct worker workers[THREADS];
	pthread_t threads[THREADS];

	verify_all(image);
	for (unsigned int n = 0; n < THREADS; n++) {
		workers[n] = (struct worker){
			.image = image,
			.index = n,
			.random.state = seed * THREADS + n,
			.until_done = until_done,
			.bytes = aligned_alloc(4096, BLOCK),
		};
		pthread_create(&threads[n], NULL, work, &workers[n]);
	}
	for (unsigned int n = 0; n < THREADS; n++) {
		pthread_join(threads[n], NULL);
		free(workers[n].bytes);
	}
	check(qcow_close(image), "close");
}

/* One life, which a kill or a clean end finishes. */
static void live(const char *path, struct random *random, bool until_done)
{
	uint64_t seed = random_next(random);
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		child(path, seed, until_done);
		_exit(0);
	}
	if (!until_done) {
		usleep(20000 + random_below(random, 150000));
		kill(pid, SIGKILL);
	}
	waitpid(pid, &status, 0);
	if (shared->failed || (WIFEXITED(status) && WEXITSTATUS(status)))
		die("%s: failed; the image is %s", kind->options, path);
}

static void test(const char *path, struct random *random, unsigned int kills)
{
	memset(shared->blocks, 0, sizeof(shared->blocks));
	must_run("rm -f %s && qemu-img create -q -f qcow2 -o %s %s %u", path,
		 kind->options, path, SIZE);
	for (unsigned int n = 0; n < kills; n++)
		live(path, random, false);
	live(path, random, true);
	must_run("qemu-img check -q %s", path);
}

int main(int argc, char **argv)
{
	unsigned int kills = argc > 1 ? strtoul(argv[1], NULL, 0) :
					20 * effort();
	struct random random = {
		.state = argc > 2 ? strtoull(argv[2], NULL, 0) : 1,
	};
	char *path = scratch_path("image");

	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	for (; kind < kinds + ARRAY_SIZE(kinds); kind++)
		test(path, &random, kills / ARRAY_SIZE(kinds));
	printf("%u kills, %lu operations\n", kills,
	       (unsigned long)shared->operations);
	free(path);
	return 0;
}
