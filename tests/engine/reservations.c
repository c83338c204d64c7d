// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * R16: a caller that may link has reserved the room that linking takes.  So
 * linking neither fails nor waits.
 *
 * When a mapped write is finished, it takes no more of journal and dirty set
 * than it had reserved.  Whatever is done, journal and dirty set never hold
 * more than they may.  Both are as small here as the engine allows, so that
 * they are full again and again.
 *
 * usage: reservations [SEED]
 */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "tests/lib/helpers.h"
#include "tests/lib/operations.h"
#include "qcow/append.h"
#include "qcow/image.h"

#define OPERATIONS   600
#define MAX_DIRTY    3100u /* one group can be 3072 */
#define JOURNAL_SIZE (8u << 10)
#define PATIENCE_MS  100u

static const struct geometry {
	const char *options;
	uint32_t cluster;
	bool overlay;
} geometries[] = {
	{ "cluster_size=512", 512, false },
	{ "cluster_size=512", 512, true },
	{ "cluster_size=16384,extended_l2=on", 16384, false },
	{ "cluster_size=16384,extended_l2=on", 16384, true },
};

static struct {
	const struct geometry *geometry;
	struct qcow_image *image;
	struct random random;
	unsigned long links;
} test;

static void open_image(const char *path)
{
	struct qcow_error error = { "" };
	struct qcow_options options = {
		.cache = QCOW_CACHE_WRITEBACK,
		.journal_dir = scratch(),
		.journal_size = JOURNAL_SIZE,
		.inline_checkpoint = true,
	};

	if (qcow_open(path, &options, &test.image, &error))
		die("%s: %s", test.geometry->options, error.text);
	test.image->dirty.max = MAX_DIRTY;
}

static void make_image(const char *path, uint64_t size)
{
	char *base = scratch_path("base");

	must_run("rm -f %s; head -c %lu /dev/urandom >%s", path, size, base);
	must_run("qemu-img create -q -f qcow2 -o %s %s %s %s %lu",
		 test.geometry->options,
		 test.geometry->overlay ? "-F raw -b" : "",
		 test.geometry->overlay ? base : "", path, size);
	/* The test does not write the bytes of a mapped write.  But the file
	   must be long enough to hold them. */
	must_run("truncate -s %lu %s", 2 * size + (1u << 20), path);
	free(base);
}

static void judge(const char *what)
{
	const struct qcow_image *image = test.image;

	if (image->dirty.active.used + image->dirty.frozen.used >
	    image->dirty.max)
		die("%s: %s: %u assignments in dirty sets for %u",
		    test.geometry->options, what,
		    image->dirty.active.used + image->dirty.frozen.used,
		    image->dirty.max);
	if (journal_used(&image->journal) > image->journal.words)
		die("%s: %s: the journal holds more than it can",
		    test.geometry->options, what);
	if (image->journal.reserved || image->dirty.reserved)
		die("%s: %s: room stays reserved", test.geometry->options,
		    what);
}

static void finish(struct qcow_io *io)
{
	const struct qcow_image *image = test.image;
	uint64_t words = image->journal.end + image->journal.reserved;
	uint32_t assignments = image->dirty.active.used + image->dirty.reserved;

	if (qcow_finish(test.image, io, 0))
		die("%s: finish", test.geometry->options);
	if (image->journal.end > words)
		die("%s: a link takes %lu words more than were reserved",
		    test.geometry->options, image->journal.end - words);
	if (image->dirty.active.used > assignments)
		die("%s: a link makes %u assignments more than were reserved",
		    test.geometry->options,
		    image->dirty.active.used - assignments);
	test.links++;
}

static bool link_mapped(const struct operation *o)
{
	struct qcow_io io;
	int ret;

	if (o->kind != OPERATION_WRITE)
		return false;
	ret = qcow_map_write(test.image, &io, o->offset, o->length);
	if (ret && ret != QCOW_MUST_BLOCK)
		die("%s: map: %s", test.geometry->options, strerror(-ret));
	if (!ret)
		finish(&io);
	return !ret;
}

static void do_operation(const struct operation *o)
{
	int ret = 0;

	if (!link_mapped(o))
		ret = operation_do(o, test.image, false, NULL);
	if (ret)
		die("%s: operation %u: %s", test.geometry->options, o->number,
		    strerror(-ret));
	judge("an operation");
}

static void test_random(void)
{
	char *path = scratch_path("image");
	uint64_t size = test.geometry->cluster * 200;

	make_image(path, size);
	open_image(path);
	for (unsigned int n = 1; n <= OPERATIONS * effort(); n++) {
		struct operation o;

		operation_draw(&o, n, &test.random, size,
			       test.geometry->cluster, false);
		do_operation(&o);
	}
	if (qcow_close(test.image))
		die("%s: close", test.geometry->options);
	must_run("qemu-img check -q %s", path);
	free(path);
}

static void write_clusters(uint64_t first, uint64_t count)
{
	for (uint64_t g = first; g < first + count; g++) {
		struct operation o = {
			.kind = OPERATION_WRITE,
			.offset = g * test.geometry->cluster,
			.length = 512,
			.number = 1,
		};

		do_operation(&o);
	}
}

/* The largest discard that one group can hold, while the dirty set has room for
   half of it only. */
static void test_discard(void)
{
	struct operation o = {
		.kind = OPERATION_DISCARD,
		.length = test.geometry->cluster * 1024,
	};
	char *path = scratch_path("image");

	make_image(path, test.geometry->cluster * 1800);
	open_image(path);
	write_clusters(0, 1024);
	if (qcow_flush(test.image))
		die("%s: flush", test.geometry->options);
	write_clusters(1024, 600);
	do_operation(&o);
	if (qcow_close(test.image))
		die("%s: close", test.geometry->options);
	must_run("qemu-img check -q %s", path);
	free(path);
}

/* Is there room for so many assignments, and not for one more? */
static void must_have_room(uint64_t assignments, const char *when)
{
	if (!append_has_room(test.image, 1, assignments) ||
	    append_has_room(test.image, 1, assignments + 1))
		die("%s: the set promises too much or too little", when);
}

/* The same of words in the ring, one of which ends the last group. */
static void must_have_words(uint64_t words, const char *when)
{
	if (!append_has_room(test.image, words, 0) ||
	    append_has_room(test.image, words + 1, 0))
		die("%s: the ring promises too much or too little", when);
}

static void swap_sets(struct dirty *dirty)
{
	struct dirty_set active = dirty->active;

	dirty->active = dirty->frozen;
	dirty->frozen = active;
	dirty->freezing = !dirty->freezing;
}

/* Room that is promised to others counts, and so do frozen assignments. */
static void test_promises(void)
{
	char *path = scratch_path("image");
	static const char bytes[512];
	struct dirty *dirty;
	uint64_t left;

	test.geometry = &geometries[0];
	make_image(path, 1u << 20);
	open_image(path);
	dirty = &test.image->dirty;
	if (qcow_write(test.image, bytes, 0, sizeof(bytes)))
		die("write");
	{
		LOCKED(test.image);
		dirty->max = dirty->active.used + 8;
		must_have_room(8, "active");
		append_reserve_room(test.image, 1, 3);
		must_have_room(5, "promised");
		append_release_room(test.image, 1, 3);
		left = test.image->journal.words -
		       journal_used(&test.image->journal) - 1;
		must_have_words(left, "in use");
		append_reserve_room(test.image, 5, 0);
		must_have_words(left - 5, "promised");
		append_release_room(test.image, 5, 0);
		swap_sets(dirty);
		must_have_room(8, "frozen");
		swap_sets(dirty);
		dirty->max = MAX_DIRTY;
	}
	if (qcow_close(test.image))
		die("close");
	free(path);
}

/* ---- a run that is in flight ---- */

/* Maps a write of whole clusters, which stays in flight. */
static void map_fresh(struct qcow_io *io, uint64_t guest, uint32_t count)
{
	uint32_t cluster = test.geometry->cluster;

	if (qcow_map_write(test.image, io, guest * cluster, count * cluster) ||
	    io->nr_extents != 1 || io->length != count * cluster)
		die("a write of %u clusters cannot be mapped at once", count);
}

/* The search for free clusters begins in front of the run (R1). */
static void test_run(void)
{
	struct operation discard = {
		.kind = OPERATION_DISCARD,
		.length = geometries[0].cluster,
	};
	char *path = scratch_path("image");
	struct qcow_io run, later[6];
	uint64_t first, end;

	test.geometry = &geometries[0];
	make_image(path, 1u << 20);
	open_image(path);
	write_clusters(0, 2);
	if (qcow_flush(test.image))
		die("flush");
	map_fresh(&run, 10, 4);
	first = run.extents[0].offset;
	end = first + run.length;
	if (operation_do(&discard, test.image, false, NULL) ||
	    qcow_flush(test.image))
		die("discard");
	for (unsigned int i = 0; i < ARRAY_SIZE(later); i++) {
		uint64_t at;

		map_fresh(&later[i], 20 + i, 1);
		at = later[i].extents[0].offset;
		if (at >= first && at < end)
			die("a cluster in flight is given away again");
	}
	for (unsigned int i = 0; i < ARRAY_SIZE(later); i++)
		finish(&later[i]);
	finish(&run);
	if (qcow_close(test.image))
		die("close");
	must_run("qemu-img check -q %s", path);
	free(path);
}

/* ---- two that wait for the same room ---- */

static atomic_uint waiting;

static void *take_most(void *unused)
{
	struct dirty *dirty = &test.image->dirty;
	uint32_t most = dirty->max / 2 + 1;

	(void)unused;
	LOCKED(test.image);
	waiting++;
	if (append_wait_room(test.image, 1, most))
		die("no room is found");
	if (dirty->reserved > dirty->max)
		die("two are promised the room that one checkpoint made");
	/* The other one may come to it now. */
	image_io_begin(test.image);
	usleep(PATIENCE_MS * 1000);
	image_io_end(test.image);
	append_release_room(test.image, 1, most);
	return NULL;
}

/* Both wait when the first one begins the checkpoint. */
static void wait_for_both(void)
{
	while (waiting < 2)
		usleep(1000);
	usleep(PATIENCE_MS * 1000);
}

static void test_two(void)
{
	char *path = scratch_path("image");
	struct turn *turn;
	pthread_t callers[2];

	test.geometry = &geometries[0];
	make_image(path, 1u << 20);
	open_image(path);
	write_clusters(0, 20);
	turn = &test.image->checkpoint.turn;
	{
		LOCKED(test.image);
		test.image->dirty.max = test.image->dirty.active.used + 8;
		turn_take(turn, &test.image->lock);
	}
	for (unsigned int i = 0; i < 2; i++)
		if (pthread_create(&callers[i], NULL, take_most, NULL))
			die("cannot start a thread");
	wait_for_both();
	{
		LOCKED(test.image);
		turn_end(turn);
	}
	for (unsigned int i = 0; i < 2; i++)
		pthread_join(callers[i], NULL);
	test.image->dirty.max = MAX_DIRTY;
	if (qcow_close(test.image))
		die("close");
	free(path);
}

int main(int argc, char **argv)
{
	test.random.state = argc > 1 ? strtoull(argv[1], NULL, 0) : 1;
	for (unsigned int g = 0; g < ARRAY_SIZE(geometries); g++) {
		test.geometry = &geometries[g];
		test_random();
		test_discard();
	}
	test_promises();
	test_run();
	test_two();
	printf("%lu links took no more than they had reserved\n", test.links);
	return 0;
}
