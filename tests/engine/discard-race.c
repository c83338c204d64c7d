// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A write beside a discard of the same cluster, which QEMU has lost data to:
 * the write lands in a cluster that was given away meanwhile, where another's
 * bytes are by then.
 *
 * Round by round two threads begin at once.  One writes a piece of a cluster
 * that is full, every second time as the server does, and then it takes its
 * time between the mapping and the bytes.  The other discards all of that
 * cluster, flushes, so that it is free, and writes to clusters that the disk
 * does not have yet.  Afterwards the piece holds the write or zeros, the rest
 * of its cluster zeros, and the other clusters the bytes written there.  It is
 * the same when all tables are in the file.
 *
 * usage: discard-race [ROUNDS [SEED]]
 */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "tests/lib/clear.h"
#include "tests/lib/helpers.h"
#include "qcow/qcow.h"

#define CLUSTER	 65536u
#define PIECE	 4096u
#define CLUSTERS 64u
#define FRESH	 2u /* clusters that are written anew */
#define ROUNDS	 600u
#define PAUSE_US 500u

static struct {
	struct qcow_image *image;
	pthread_barrier_t begin, end;
	unsigned int rounds;
	bool mapped;
	uint64_t cluster, piece; /* of the round */
	uint64_t fresh[FRESH];
	uint8_t value;
	unsigned int written, zeroed; /* pieces, afterwards */
} race;

static void must(int ret, const char *what)
{
	if (ret)
		die("%s: %s", what, strerror(-ret));
}

static void write_value(uint64_t offset, size_t length, uint8_t value)
{
	static _Thread_local uint8_t bytes[CLUSTER]
		__attribute__((aligned(4096)));

	memset(bytes, value, length);
	must(qcow_write(race.image, bytes, offset, length), "write");
}

/* ---- the two ---- */

static void move_extents(const struct qcow_io *io, const uint8_t *bytes)
{
	int fds[QCOW_FILES_MAX];

	qcow_fds(race.image, fds, QCOW_FILES_MAX);
	for (unsigned int i = 0; i < io->nr_extents; i++) {
		const struct qcow_extent *e = &io->extents[i];

		if (pwrite(fds[e->file], bytes, e->length, (off_t)e->offset) !=
		    (ssize_t)e->length)
			die("pwrite: %s", strerror(errno));
		bytes += e->length;
	}
}

/* Only bytes that need no zeros around them are written so. */
static bool write_mapped(uint64_t offset, uint8_t value)
{
	static uint8_t bytes[PIECE] __attribute__((aligned(4096)));
	struct qcow_io io;

	if (qcow_map_write(race.image, &io, offset, PIECE))
		return false;
	for (unsigned int i = 0; i < io.nr_extents; i++)
		if (io.extents[i].zero_before || io.extents[i].zero_after) {
			qcow_finish(race.image, &io, -ECANCELED);
			return false;
		}
	memset(bytes, value, PIECE);
	usleep(PAUSE_US);
	move_extents(&io, bytes);
	must(qcow_finish(race.image, &io, 0), "finish");
	return true;
}

static void write_piece(void)
{
	uint64_t offset = race.cluster * CLUSTER + race.piece * PIECE;

	if (!race.mapped || !write_mapped(offset, race.value))
		write_value(offset, PIECE, race.value);
}

static void discard_and_reuse(void)
{
	must(clear_discard(race.image, race.cluster * CLUSTER, CLUSTER),
	     "discard");
	must(qcow_flush(race.image), "flush");
	for (unsigned int i = 0; i < FRESH; i++)
		write_value(race.fresh[i] * CLUSTER, CLUSTER, race.value);
}

static void *run_thread(void *opaque)
{
	void (*act)(void) = opaque;

	for (unsigned int n = 0; n < race.rounds; n++) {
		pthread_barrier_wait(&race.begin);
		act();
		pthread_barrier_wait(&race.end);
	}
	return NULL;
}

/* ---- the judgement ---- */

static bool holds(const uint8_t *bytes, size_t length, uint8_t value)
{
	for (size_t i = 0; i < length; i++)
		if (bytes[i] != value)
			return false;
	return true;
}

static uint8_t *read_cluster(uint64_t cluster)
{
	static uint8_t bytes[CLUSTER] __attribute__((aligned(4096)));

	must(qcow_read(race.image, bytes, cluster * CLUSTER, CLUSTER), "read");
	return bytes;
}

/* Returns whether the piece has the write. */
static bool judge(const char *when)
{
	uint8_t *bytes = read_cluster(race.cluster);
	uint64_t from = race.piece * PIECE;
	bool written = holds(bytes + from, PIECE, race.value);

	if (!written && !holds(bytes + from, PIECE, 0))
		die("%s: the piece has neither the write nor zeros", when);
	memset(bytes + from, 0, PIECE);
	if (!holds(bytes, CLUSTER, 0))
		die("%s: the discarded cluster has bytes", when);
	for (unsigned int i = 0; i < FRESH; i++)
		if (!holds(read_cluster(race.fresh[i]), CLUSTER, race.value))
			die("%s: another cluster has lost its bytes", when);
	return written;
}

/* The cluster is full, the fresh ones are not there. */
static void prepare(struct random *random)
{
	uint64_t first = random_below(random, CLUSTERS - FRESH);

	race.cluster = first;
	race.piece = random_below(random, CLUSTER / PIECE);
	race.value = 1 + random_below(random, 255);
	write_value(first * CLUSTER, CLUSTER, (uint8_t)(race.value ^ 0x80));
	for (unsigned int i = 0; i < FRESH; i++)
		race.fresh[i] = first + 1 + i;
	must(qcow_discard(race.image, race.fresh[0] * CLUSTER, FRESH * CLUSTER),
	     "discard");
	race.mapped = random_below(random, 2);
	if (!random_below(random, 4))
		must(qcow_flush(race.image), "flush");
}

static void run_rounds(struct random *random)
{
	for (unsigned int n = 0; n < race.rounds; n++) {
		bool written;

		prepare(random);
		pthread_barrier_wait(&race.begin);
		pthread_barrier_wait(&race.end);
		written = judge("at once");
		must(qcow_flush(race.image), "flush");
		if (judge("after a flush") != written)
			die("a flush has changed the disk");
		race.written += written;
		race.zeroed += !written;
	}
}

static void open_image(const char *path)
{
	struct qcow_options options = {
		.journal_dir = scratch(),
		.cache = QCOW_CACHE_WRITEBACK,
	};
	struct qcow_error error = { "" };

	must_run("qemu-img create -q -f qcow2 %s %uK", path,
		 CLUSTERS * CLUSTER / 1024);
	if (qcow_open(path, &options, &race.image, &error))
		die("open: %s", error.text);
}

int main(int argc, char **argv)
{
	static void (*const acts[])(void) = { write_piece, discard_and_reuse };
	char *path = scratch_path("image.qcow2");
	struct random random = { argc > 2 ? strtoull(argv[2], NULL, 0) : 1 };
	pthread_t threads[2];

	race.rounds = argc > 1 ? strtoul(argv[1], NULL, 0) :
				 ROUNDS * effort() / stride();
	open_image(path);
	pthread_barrier_init(&race.begin, NULL, 3);
	pthread_barrier_init(&race.end, NULL, 3);
	for (unsigned int i = 0; i < 2; i++)
		if (pthread_create(&threads[i], NULL, run_thread, acts[i]))
			die("no thread");
	run_rounds(&random);
	for (unsigned int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	must(qcow_close(race.image), "close");
	must_run("qemu-img check -q %s", path);
	printf("%u rounds: the write came last in %u, the discard in %u\n",
	       race.rounds, race.written, race.zeroed);
	if (!race.written || !race.zeroed)
		die("one of them always came last: nothing was tested");
	free(path);
	return 0;
}
