// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Look-ups without the lock, with another caller's work in the middle of them.
 *
 *	changed	A look-up has found its slice.  The slice goes from the cache,
 *		and another one gets its memory, before the look-up reads.
 *	alone	Beside an exclusive range, a look-up takes the lock.
 *	all	A plain request takes no lock.  One that allocates does.
 *	refused	No write is mapped before the mark is set, nor to an image that
 *		has turned out to be corrupt.
 */
#include <stdio.h>
#include <stdlib.h>
#include "tests/lib/helpers.h"
#include "qcow/image.h"

#define CLUSTER 512ull
#define PART	(CLUSTER * CLUSTER / 8) /* of the disk that a slice tells of */
#define PARTS	256u			/* more than the cache has slices */

static struct {
	struct qcow_image *image;
	bool evicts; /* in the next look-up */
	unsigned int locks;
} test;

int __real_pthread_mutex_lock(pthread_mutex_t *mutex);
int __wrap_pthread_mutex_lock(pthread_mutex_t *mutex);
struct slice *__real_cache_find(struct cache *cache, enum slice_type type,
				uint64_t offset);
struct slice *__wrap_cache_find(struct cache *cache, enum slice_type type,
				uint64_t offset);

int __wrap_pthread_mutex_lock(pthread_mutex_t *mutex)
{
	if (test.image && mutex == &test.image->lock)
		test.locks++;
	return __real_pthread_mutex_lock(mutex);
}

/* ---- another caller ---- */

static void read_all(void)
{
	static char data[CLUSTER];

	for (unsigned int n = 0; n < PARTS; n++)
		if (qcow_read(test.image, data, n * PART, CLUSTER))
			die("cannot read");
}

struct slice *__wrap_cache_find(struct cache *cache, enum slice_type type,
				uint64_t offset)
{
	struct slice *slice = __real_cache_find(cache, type, offset);

	if (test.evicts && slice) {
		test.evicts = false;
		read_all();
	}
	return slice;
}

/* ---- the cases ---- */

static void open_image(const char *path)
{
	struct qcow_options options = {
		.journal_dir = scratch(),
		.cache_size = 1,
		.inline_checkpoint = true,
	};
	struct qcow_error error = { "" };

	if (qcow_open(path, &options, &test.image, &error))
		die("%s", error.text);
}

static void make_image(const char *path)
{
	static char data[CLUSTER];

	must_run("qemu-img create -q -f qcow2 -o cluster_size=512 %s %llu",
		 path, PARTS * PART);
	open_image(path);
	for (unsigned int n = 0; n < PARTS; n++)
		if (qcow_write(test.image, data, n * PART, CLUSTER))
			die("cannot write");
	if (qcow_flush(test.image))
		die("cannot flush");
}

static void load(unsigned int part)
{
	static char data[CLUSTER];

	if (qcow_read(test.image, data, part * PART, CLUSTER))
		die("cannot read");
}

/* Maps and ends a request of a part; returns the place of its bytes. */
static uint64_t place_of(bool write, unsigned int part)
{
	uint64_t offset = part * PART;
	struct qcow_io io;
	int ret = write ? qcow_map_write(test.image, &io, offset, CLUSTER) :
			  qcow_map_read(test.image, &io, offset, CLUSTER);

	if (ret == QCOW_MUST_BLOCK)
		return 0;
	if (ret || io.nr_extents != 1 || qcow_finish(test.image, &io, 0))
		die("part %u is not mapped as it must be", part);
	return io.extents[0].offset;
}

static void a_slice_goes_meanwhile(bool write)
{
	uint64_t place;

	load(7);
	place = place_of(write, 7);
	test.evicts = true;
	/* The answer may be that it must be loaded again. */
	for (unsigned int n = 0; n < 2; n++) {
		uint64_t now = place_of(write, 7);

		if (now && now != place)
			die("an answer out of another table's slice");
		load(7);
	}
	if (test.evicts)
		die("no look-up has found the slice");
}

static void must_take(unsigned int locks, bool write, unsigned int part)
{
	test.locks = 0;
	if (!place_of(write, part))
		die("part %u is not mapped", part);
	if (test.locks != locks)
		die("a %s takes the lock %u times instead of %u",
		    write ? "write" : "read", test.locks, locks);
}

static void a_plain_request_takes_no_lock(void)
{
	load(7);
	must_take(0, false, 7);
	must_take(0, true, 7);
}

static void beside_an_exclusive_one(void)
{
	static char data[CLUSTER];
	struct qcow_io fresh;

	/* Brings the counts of free clusters into the cache. */
	if (qcow_write(test.image, data, 7 * PART + 2 * CLUSTER, CLUSTER))
		die("cannot write");
	load(7);
	if (qcow_map_write(test.image, &fresh, 7 * PART + CLUSTER, CLUSTER))
		die("a fresh write is not mapped");
	must_take(2, false, 7);
	if (qcow_finish(test.image, &fresh, 0))
		die("a fresh write is not finished");
	must_take(0, false, 7);
}

/* Only once: the next one may be written in place again. */
static void after_one_that_allocates(void)
{
	load(7);
	must_take(2, true, 7);
	must_take(0, true, 7);
}

static void must_refuse_writes(const char *when)
{
	load(7);
	place_of(false, 7);
	if (place_of(true, 7))
		die("%s: a write is mapped", when);
	if (!place_of(false, 7))
		die("%s: a read is not mapped", when);
}

/* R12: the successor must see that there were writes. */
static void before_the_mark(const char *path)
{
	if (qcow_close(test.image))
		die("cannot close");
	test.image = NULL;
	open_image(path);
	must_refuse_writes("before the mark");
}

static void after_the_mark(void)
{
	static char data[CLUSTER];

	if (qcow_write(test.image, data, 7 * PART, CLUSTER))
		die("cannot write");
	if (!place_of(true, 7))
		die("a write after the mark is not mapped");
}

static void after_corruption(void)
{
	image_set_corrupt(test.image);
	must_refuse_writes("a corrupt image");
}

int main(void)
{
	char *path = scratch_path("disk.qcow2");

	make_image(path);
	load(7);
	place_of(false, 7); /* the first look-up of a thread takes the lock */
	a_plain_request_takes_no_lock();
	a_slice_goes_meanwhile(false);
	a_slice_goes_meanwhile(true);
	beside_an_exclusive_one();
	after_one_that_allocates();
	before_the_mark(path);
	after_the_mark();
	after_corruption();
	qcow_close(test.image);
	free(path);
	return 0;
}
