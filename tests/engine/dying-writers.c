// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Each life but the last is a process.  It tells in shared memory how many of
 * its operations have begun, and how many were acknowledged.  It kills itself
 * without a close: at a random event of the journal, which is within an
 * operation, or after its last operation.  The contents are mapped shared, too,
 * but only the parent changes them.  When the child is dead, the parent applies
 * the acknowledged operations.
 *
 * The next life settles the operation that was under way at the death.  A
 * sector may hold the bytes that this operation writes; then the contents take
 * them over.  All other sectors must be as they were before.  Then, every other
 * time, the operation is done again, as the kernel does with requests of a dead
 * server.  (With a raw data file the operation must be done again: the bytes of
 * a write stand in that file before the image says so, and nobody takes them
 * back.)
 *
 * Half of the images have a supervisor, which keeps QEMU's locks from the first
 * life to the last.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include "tests/lib/model.h"
#include "tests/engine/dying-writers.h"
#include "tests/lib/operations.h"
#include "qcow/image.h"

#define SECTOR	   512u
#define DEATHS	   3
#define OPERATIONS 24 /* of a life */
#define EVENTS	   40 /* of the journal, in a life; about */
#define UNIT	   (256u << 10)

/* An image in use, and the contents that it is compared with. */
struct life {
	struct dying_writers *lives;
	struct qcow_image *image;
	const struct operation *under_way; /* NULL: none */
	uint32_t cluster;
	uint64_t size;
};

static struct progress {
	unsigned int begun, acknowledged;
} * progress; /* shared with the child */

static unsigned int events_left;

/* ---- reading ---- */

/* Reads like a queue: maps, moves the bytes, and finishes. */
static int read_mapped(struct qcow_image *image, uint8_t *bytes,
		       uint64_t offset, uint32_t length)
{
	int fds[QCOW_FILES_MAX], ret;
	struct qcow_io io;

	ret = qcow_map_read(image, &io, offset, length);
	if (ret)
		return ret;
	qcow_fds(image, fds, QCOW_FILES_MAX);
	memset(bytes, 0, length); /* bytes past a file's end */
	for (unsigned int i = 0; i < io.nr_extents && !ret; i++) {
		const struct qcow_extent *e = &io.extents[i];

		if (e->kind == QCOW_EXTENT_DATA &&
		    pread(fds[e->file], bytes, e->length, e->offset) < 0)
			ret = -errno;
		bytes += e->length;
	}
	return qcow_finish(image, &io, ret);
}

static void read_piece(void *reader, void *bytes, uint64_t offset,
		       size_t length)
{
	struct life *life = reader;
	int ret = QCOW_MUST_BLOCK;

	if (random_below(&life->lives->random, 2))
		ret = read_mapped(life->image, bytes, offset, length);
	if (ret == QCOW_MUST_BLOCK)
		ret = qcow_read(life->image, bytes, offset, length);
	if (ret)
		die("%s: read at %lu: %s", life->lives->what, offset,
		    strerror(-ret));
}

/* Are these the bytes that the operation under way writes to the sector?  Then
   the sector holds them from now on. */
static bool settles(void *reader, uint64_t sector, const uint8_t *bytes)
{
	const struct life *life = reader;
	const struct contents *contents = life->lives->contents;
	uint8_t *held = contents->bytes + sector * SECTOR;
	uint8_t wanted[SECTOR] = { 0 };
	uint32_t number;

	if (!life->under_way ||
	    !operation_changes(life->under_way, sector, life->size,
			       life->cluster, &number))
		return false;
	if (number)
		operation_stamp(wanted, number, sector);
	if (memcmp(bytes, wanted, SECTOR))
		return false;
	memcpy(held, wanted, SECTOR);
	return true;
}

static void compare(struct life *life)
{
	const struct subject subject = {
		.read = read_piece,
		.excuses = settles,
		.reader = life,
		.unit = UNIT,
		.what = life->lives->what,
	};

	if (life->under_way)
		contents_compare_range(life->lives->contents, &subject,
				       life->under_way->offset,
				       life->under_way->length);
	contents_compare(life->lives->contents, &subject);
}

/* ---- a life ---- */

static void begin(struct life *life, struct dying_writers *lives,
		  const struct qcow_options *options)
{
	struct qcow_error error = { "" };

	*life = (struct life){ .lives = lives };
	if (qcow_open(lives->path, options, &life->image, &error))
		die("%s: open: %s", lives->what, error.text);
	life->cluster = qcow_cluster_size(life->image);
	life->size = qcow_size(life->image);
	if (life->size != lives->contents->size)
		die("%s: a disk of %lu bytes", lives->what, life->size);
}

static void operate(struct life *life, const struct operation *operation)
{
	int ret = operation_do(operation, life->image,
			       random_below(&life->lives->random, 2), NULL);

	if (ret)
		die("%s: operation %u: %s", life->lives->what,
		    operation->number, strerror(-ret));
}

static void on_event(void *opaque, enum qcow_event event)
{
	(void)opaque;
	(void)event;
	if (!events_left--)
		kill(getpid(), SIGKILL);
}

/* The state that goes from each life to the next. */
struct story {
	struct dying_writers *lives;
	struct qcow_options options;
	uint32_t cluster;
	bool discards; /* discards change the contents of the disk */
	struct operation operations[OPERATIONS]; /* of the next life */
	struct operation under_way;		 /* at the last death, */
	bool torn;				 /*  if it was within one */
};

static void begin_and_settle(struct life *life, struct story *story)
{
	begin(life, story->lives, &story->options);
	life->under_way = story->torn ? &story->under_way : NULL;
	compare(life);
	life->under_way = NULL;
}

static void __attribute__((noreturn)) live(struct story *story)
{
	const struct qcow_test_hooks hooks = {
		.event = on_event,
		.ahead = 1,
	};
	struct life life;

	story->options.test = &hooks;
	events_left = random_below(&story->lives->random, EVENTS);
	begin_and_settle(&life, story);
	for (unsigned int n = 0; n < OPERATIONS; n++) {
		progress->begun = n + 1;
		operate(&life, &story->operations[n]);
		progress->acknowledged = n + 1;
	}
	kill(getpid(), SIGKILL);
	abort();
}

/* Applies the acknowledged operations to the contents. */
static void keep(struct story *story, unsigned int first, unsigned int end)
{
	const struct contents *contents = story->lives->contents;

	for (unsigned int n = first; n < end; n++)
		if (story->operations[n].kind != OPERATION_DISCARD ||
		    story->discards)
			operation_apply(&story->operations[n], contents->bytes,
					contents->size, story->cluster);
}

/* The last life is in the parent, and ends with a clean close.  It opens the
   image again in the middle. */
static void live_last(struct story *story)
{
	struct life life;

	begin_and_settle(&life, story);
	for (unsigned int n = 0; n < OPERATIONS; n++) {
		operate(&life, &story->operations[n]);
		keep(story, n, n + 1);
		if (n != OPERATIONS / 2)
			continue;
		compare(&life);
		model_close(life.image);
		begin(&life, story->lives, &story->options);
	}
	compare(&life);
	model_close(life.image);
}

/* ---- all of them ---- */

static void draw_operation(struct story *story, struct operation *operation)
{
	struct dying_writers *lives = story->lives;
	struct window window;

	window_draw(&window, &lives->random, lives->contents->size);
	operation_draw(operation, ++lives->operations, &lives->random,
		       window.length, story->cluster, false);
	operation->offset += window.offset;
}

static void draw_operations(struct story *story)
{
	unsigned int n = 0;

	if (story->torn &&
	    (story->lives->reissue || random_below(&story->lives->random, 2)))
		story->operations[n++] = story->under_way;
	while (n < OPERATIONS)
		draw_operation(story, &story->operations[n++]);
}

static void wait_for_death(const struct dying_writers *lives, pid_t child)
{
	int status;

	waitpid(child, &status, 0);
	if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL)
		die("%s: a life failed", lives->what);
}

static void die_once(struct story *story)
{
	pid_t child;

	*progress = (struct progress){ 0 };
	fflush(NULL);
	child = fork();
	if (!child)
		live(story);
	wait_for_death(story->lives, child);
	keep(story, 0, progress->acknowledged);
	story->torn = progress->begun > progress->acknowledged;
	if (story->torn)
		story->under_way = story->operations[progress->acknowledged];
	story->lives->deaths++;
	story->lives->torn += story->torn;
}

static void live_and_die(struct story *story)
{
	for (unsigned int n = 0; n < DEATHS; n++) {
		draw_operations(story);
		die_once(story);
	}
	draw_operations(story);
	live_last(story);
}

static char *journal_directory(void)
{
	char *path = scratch_path("journals");

	must_run("mkdir -p %s", path);
	return path;
}

void dying_compare(struct dying_writers *lives)
{
	const struct qcow_options options = {
		.read_only = true,
		.references = &model_references,
	};
	struct life life;

	begin(&life, lives, &options);
	compare(&life);
	model_close(life.image);
}

void dying_run(struct dying_writers *lives)
{
	char *journals = journal_directory();
	struct story story = {
		.lives = lives,
		.options.journal_dir = journals,
		.options.references = &model_references,
		/* always the same events */
		.options.inline_checkpoint = true,
	};
	struct qcow_error error = { "" };
	struct qcow_lock *lock = NULL;
	struct qcow_info info;

	if (!progress)
		progress = mmap(NULL, sizeof(*progress), PROT_READ | PROT_WRITE,
				MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (qcow_read_info(lives->path, &info, &error))
		die("%s: %s", lives->what, error.text);
	if (random_below(&lives->random, 2)) {
		if (qcow_lock(lives->path, NULL, false, true, &lock, &error))
			die("%s: lock: %s", lives->what, error.text);
		story.options.locking = QCOW_LOCK_JOIN;
		story.options.unbroken = true;
	}
	story.cluster = info.cluster_size;
	story.discards = model_discards(lives->path);
	live_and_die(&story);
	qcow_unlock(lock);
	if (rmdir(journals))
		die("%s: closed, but a journal is left", lives->what);
	free(journals);
}
