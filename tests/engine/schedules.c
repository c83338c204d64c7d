// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * One seed determines everything: the image, the operations of several threads,
 * the order in which these and the checkpoint's thread go on (scheduler.h), and
 * the I/O that fails.  It also determines when a write reaches the disk between
 * its beginning and its end, and the instant at which the process dies or the
 * power is lost.
 *
 *	reads	hold the bytes of an operation that can have been the last
 *	death	the journal is replayed; every acknowledged change is there
 *		(P1).  A write in flight may have landed or not (P4).
 *	power	any sector may be lost that no sync covers; every flushed
 *		change is there (P2).  A sync covers the writes that had ended
 *		when the sync began.
 *	close	no corruption, no leak (P3)
 *	steps	each one keeps the rules of the checkpoint (rules.c)
 *
 * A failure names its seed, with which it happens again.
 *
 * usage: schedules [--trace DIRECTORY] [COUNT [SEED]]
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "tests/engine/history.h"
#include "tests/engine/instants.h"
#include "tests/engine/rules.h"
#include "tests/engine/trace.h"
#include "tests/lib/helpers.h"
#include "tests/lib/judge.h"
#include "tests/lib/scheduler.h"
#include "qcow/image.h"

#define SECTOR	    512u
#define COUNT	    10000u /* seeds, by default */
#define MAX_CALLERS 4u
#define MAX_DEEDS   10u /* of one caller */

static struct {
	const struct geometry *geometry;
	uint64_t size; /* of the virtual disk, bytes */
	uint64_t seed;
	struct instants instants;
	struct qcow_image *image;
	char *journal; /* path */
	struct qcow_identity identity;
	struct history history;
	uint64_t start, window; /* bytes of the disk that are used */
	bool faulty;		/* an I/O may fail */
	uint64_t deaths, losses, failures, deeds;
	struct rules_counts counts;
} test;

static void must(int ret, const char *what)
{
	if (ret)
		die("%s: %s: %s", test.geometry->options, what, strerror(-ret));
}

static void tell_seed(int status, void *unused)
{
	(void)unused;
	if (status)
		fprintf(stderr, "again: engine/schedules 1 %lu\n", test.seed);
}

static void die_by_signal(int number)
{
	tell_seed(number, NULL);
	signal(number, SIG_DFL);
	raise(number);
}

static struct qcow_image *open_disk(const struct qcow_test_hooks *hooks,
				    bool with_thread, bool force)
{
	struct qcow_error error = { "" };
	struct qcow_image *image;
	char *journals = scratch_path("journals");
	char *path = scratch_path("image");
	struct qcow_options options = {
		.journal_dir = journals,
		.journal_size = INSTANT_JOURNAL,
		.cache = QCOW_CACHE_WRITEBACK,
		.cache_size = 1, /* as small as it gets */
		.inline_checkpoint = !with_thread,
		.force = force,
		.test = hooks,
	};

	if (qcow_open(path, &options, &image, &error))
		die("%s: open: %s", test.geometry->options, error.text);
	free(journals);
	free(path);
	return image;
}

/* The only journal; each image has another one. */
static void find_journal(void)
{
	free(test.journal);
	test.journal = scratch_find("journals/*.journal");
	qcow_identify(test.image, &test.identity);
}

static void forget_journal(void)
{
	char *journals = scratch_path("journals");

	must(qcow_forget_journal(&test.identity, journals), "journal");
	free(journals);
}

/* ---- looks ---- */

/* Reads like a queue: other threads may go on before the bytes are read. */
static int read_mapped(struct qcow_image *image, uint8_t *bytes,
		       uint64_t offset, uint64_t length)
{
	const struct qcow_test_hooks *hooks = &test.instants.hooks;
	struct qcow_io io;
	int ret = qcow_map_read(image, &io, offset, length);

	if (ret)
		return ret;
	for (unsigned int i = 0; i < io.nr_extents && !ret; i++) {
		const struct qcow_extent *e = &io.extents[i];

		memset(bytes, 0, e->length);
		if (e->kind == QCOW_EXTENT_DATA && e->file == 0)
			ret = hooks->ops->read(hooks->disk, bytes, e->offset,
					       e->length);
		else if (e->kind == QCOW_EXTENT_DATA)
			ret = -EBUSY; /* in a file below the image */
		bytes += e->length;
	}
	return qcow_finish(image, &io, ret);
}

static int read_somehow(struct qcow_image *image, uint8_t *bytes,
			uint64_t offset, uint64_t length, bool mapped)
{
	int ret = mapped ? read_mapped(image, bytes, offset, length) : -EBUSY;

	if (ret == -EBUSY || ret == QCOW_MUST_BLOCK)
		ret = qcow_read(image, bytes, offset, length);
	return ret;
}

static void check_range(struct qcow_image *image, uint64_t offset,
			uint64_t length, const struct look *look,
			const char *where)
{
	uint8_t *bytes = aligned_alloc(4096, round_up(length, 4096));
	struct look ended = *look;
	int ret;

	if (!look->from)
		ended.from = ++test.history.time;
	ret = read_somehow(image, bytes, offset, length,
			   !look->from && scheduler_draw(2));
	if (!look->from)
		ended.to = ++test.history.time;
	if (ret && !test.faulty)
		must(ret, "read");
	for (uint64_t at = 0; at < length && !ret; at += SECTOR) {
		uint64_t sector = (offset + at) / SECTOR;

		history_check(&test.history, &ended, sector,
			      stamp_of(bytes + at, sector, where), where);
	}
	free(bytes);
}

/* ---- callers ---- */

static void draw_deed(struct operation *operation)
{
	struct random random = { .state = scheduler_draw(UINT32_MAX) };

	operation_draw(operation, 1, &random, test.window,
		       test.geometry->cluster, false);
	operation->offset += test.start;
}

static void *call(void *unused)
{
	static const struct look now;
	unsigned int count = 1 + scheduler_draw(MAX_DEEDS);

	(void)unused;
	for (unsigned int i = 0; i < count; i++) {
		struct operation operation;
		struct deed *deed;
		int ret;

		draw_deed(&operation);
		if (scheduler_draw(4) == 0) {
			check_range(test.image, operation.offset,
				    operation.length, &now, "read");
			continue;
		}
		deed = history_begin(&test.history, &operation);
		ret = operation_do(&deed->operation, test.image,
				   scheduler_draw(2), &test.instants.hooks);
		history_end(&test.history, deed, ret);
		if (ret && !test.faulty)
			must(ret, "operation");
		test.failures += ret != 0;
		test.deeds++;
	}
	return NULL;
}

static void run_callers(void)
{
	unsigned int count = 1 + scheduler_draw(MAX_CALLERS);
	pthread_t callers[MAX_CALLERS];

	for (unsigned int i = 0; i < count; i++)
		if (pthread_create(&callers[i], NULL, call, NULL))
			die("cannot start a thread");
	for (unsigned int i = 0; i < count; i++)
		pthread_join(callers[i], NULL);
}

/* ---- afterwards ---- */

static void must_be_sound(const struct disk *disk, bool leaks_allowed,
			  const char *where)
{
	struct verdict verdict;

	judge(disk->bytes, disk->size, &verdict);
	if (verdict.corruptions || (verdict.leaks && !leaks_allowed))
		die("%s: %s: %u corruptions, %u leaks: %s",
		    test.geometry->options, where, verdict.corruptions,
		    verdict.leaks, verdict.first);
}

/* The next process looks at the whole disk, and ends in good order. */
static void check_disk(struct disk *disk, const struct look *look,
		       const char *where)
{
	struct qcow_image *image = open_disk(&disk->hooks, false, look->power);

	check_range(image, 0, test.size, look, where);
	must(qcow_close(image), where);
	must_be_sound(disk, look->power, where);
}

static void check_death(struct random *random)
{
	struct instant instant;
	struct look look;
	struct disk disk;

	instants_draw(&test.instants, random, &instant);
	instants_die(&test.instants, &instant, random, &disk);
	look = (struct look){ .from = instant.time, .to = instant.time };
	write_file(test.journal, instant.journal, INSTANT_JOURNAL);
	check_disk(&disk, &look, "death");
	disk_free(&disk);
	test.deaths++;
}

static void check_loss(struct random *random)
{
	struct instant instant;
	struct look look = { .power = true };
	struct disk disk;

	instants_draw(&test.instants, random, &instant);
	instants_lose(&test.instants, &instant, random, &disk);
	look.from = look.to = instant.time;
	must_be_sound(&disk, true, "loss of power");
	forget_journal();
	check_disk(&disk, &look, "loss of power");
	disk_free(&disk);
	test.losses++;
}

/* ---- one seed ---- */

static void draw_window(void)
{
	static const unsigned int clusters[] = { 2, 8, 64 };
	uint64_t cluster = test.geometry->cluster;

	test.window = min_u64(clusters[scheduler_draw(3)] * cluster, test.size);
	test.start = 0;
	if (scheduler_draw(2)) {
		test.start = round_down(test.size - test.window, cluster);
		test.window = test.size - test.start;
	}
}

static int run_threads(void)
{
	int ret;

	scheduler_start(test.seed);
	draw_window();
	test.image = open_disk(&test.instants.hooks, true, false);
	find_journal();
	test.faulty = scheduler_draw(4) == 0;
	if (test.faulty)
		instants_fail(&test.instants, scheduler_draw(150));
	instants_record(&test.instants, test.image, &test.history.time);
	run_callers();
	ret = qcow_close(test.image);
	scheduler_end();
	instants_end(&test.instants);
	if (ret && !test.faulty)
		must(ret, "close");
	test.faulty = false;
	return ret;
}

static void run_seed(const struct disk *base, uint64_t seed)
{
	struct random random = { .state = ~seed };
	const struct look now = { .from = UINT64_MAX, .to = UINT64_MAX };
	int ret;

	test.seed = seed;
	history_create(&test.history, test.geometry, test.size);
	instants_create(&test.instants, base);
	ret = run_threads();
	if (!ret)
		must_be_sound(&test.instants.disk, false, "close");
	check_disk(&test.instants.disk, &now, "end");
	trace_write(&test.instants, &test.history, seed);
	rules_check(&test.instants, test.geometry->options, &test.counts);
	check_death(&random);
	check_loss(&random);
	instants_destroy(&test.instants);
	forget_journal();
}

/* A large image takes its time, so it comes rarely. */
static unsigned int geometry_of(uint64_t seed)
{
	unsigned int number = seed % nr_geometries;

	if (geometries[number].base == NEARLY_FULL && seed / nr_geometries % 8)
		return 0;
	return number;
}

static uint64_t next_seed(uint64_t seed, uint64_t end, unsigned int number)
{
	while (seed < end && geometry_of(seed) != number)
		seed++;
	return seed;
}

static void run_geometry(unsigned int number, uint64_t first, uint64_t end)
{
	uint64_t seed = next_seed(first, end, number);
	char *path = scratch_path("image");
	struct disk base;

	if (seed == end)
		return;
	test.geometry = &geometries[number];
	test.size = geometry_make(test.geometry, path);
	disk_load(&base, path);
	if (test.geometry->base == DEVICE)
		disk_make_device(&base, 1u << 20);
	for (; seed < end; seed = next_seed(seed + 1, end, number))
		run_seed(&base, seed);
	disk_free(&base);
	free(path);
}

int main(int argc, char **argv)
{
	uint64_t count = (uint64_t)COUNT * effort() / stride(), first = 1;

	trace_option(&argc, &argv);
	if (argc > 1)
		count = strtoull(argv[1], NULL, 0);
	if (argc > 2)
		first = strtoull(argv[2], NULL, 0);
	on_exit(tell_seed, NULL);
	signal(SIGABRT, die_by_signal);
	signal(SIGSEGV, die_by_signal);
	must_run("mkdir %s/journals", scratch());
	for (unsigned int g = 0; g < nr_geometries; g++)
		run_geometry(g, first, first + count);
	printf("%lu seeds from %lu on: %lu operations, %lu of which failed as they were to; %lu deaths, %lu losses of power; of %lu groups, after each of %lu steps, the model says the same\n",
	       count, first, test.deeds, test.failures, test.deaths,
	       test.losses, test.counts.groups, test.counts.steps);
	return 0;
}
