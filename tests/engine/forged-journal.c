// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A journal is input like an image (P6): its groups have their seals, and may
 * say anything nevertheless.  A record of clusters that the image does not have
 * fails the open; an entry that no table may have fails each read of it.
 *
 * A life leaves a journal; then the test appends a group of its own.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "tests/lib/helpers.h"
#include "qcow/image.h"

#define CLUSTER	  65536u
#define L1	  0x30000ull /* where qemu-img puts it */
#define TABLES	  2u
#define PER_TABLE (CLUSTER / 8)
#define RAW(kind, count, index) \
	((uint64_t)(kind) << 60 | (uint64_t)(count) << 48 | (index))

/* A record, as the ring has it. */
struct row {
	const char *what;
	uint64_t head, value;
};

static const struct row refused[] = {
	{ "an L2 entry behind the last", RAW(RECORD_L2, 1, TABLES *PER_TABLE),
	  0 },
	{ "a run of L2 entries beyond the last",
	  RAW(RECORD_L2_DATA, 2, TABLES *PER_TABLE - 1), CLUSTER },
	{ "an L1 entry behind the last", RAW(RECORD_L1, 1, TABLES), 0 },
	{ "a bitmap without subclusters", RAW(RECORD_L2_BITMAP, 1, 0), 0 },
	{ "a count too large for its width", RAW(RECORD_REFCOUNT, 1, 100), 4 },
	{ "a count of a cluster that cannot be",
	  RAW(RECORD_REFCOUNT, 1, 1ull << 47), 1 },
	{ "two refcount tables", RAW(RECORD_REFCOUNT_TABLE, 2, 1), 1u << 20 },
	{ "a refcount table of no clusters", RAW(RECORD_REFCOUNT_TABLE, 1, 0),
	  1u << 20 },
	{ "no record that there is", RAW(9, 1, 1), 0 },
};

static const struct row replayed[] = {
	{ "the last L2 entry", RAW(RECORD_L2, 1, TABLES *PER_TABLE - 1), 0 },
	{ "the largest count", RAW(RECORD_REFCOUNT, 1, 100), 3 },
};

static const struct row bad_table = {
	"an L2 table that is the L1 table",
	RAW(RECORD_L1, 1, 1),
	L1 | ENTRY_COPIED,
};

static const struct row long_run = {
	"a long run of counts",
	RAW(RECORD_REFCOUNT, GROUP_RUN, 1000),
	0,
};

static int open_image(struct qcow_image **image, struct qcow_error *error)
{
	const struct qcow_options options = {
		.cache = QCOW_CACHE_WRITEBACK,
		.journal_dir = scratch(),
		.inline_checkpoint = true,
	};
	char *path = scratch_path("image");
	int ret = qcow_open(path, &options, image, error);

	free(path);
	return ret;
}

static void live_and_die(void)
{
	static uint8_t bytes[CLUSTER] __attribute__((aligned(4096)));
	pid_t child;
	int status;

	must_run(
		"cd %s; rm -f image *.journal *.life; qemu-img create -q -f qcow2 -o refcount_bits=2 image %u",
		scratch(), TABLES * PER_TABLE * CLUSTER);
	child = fork();
	if (!child) {
		struct qcow_image *image;

		memset(bytes, 1, sizeof(bytes));
		_exit(open_image(&image, NULL) ||
		      qcow_write(image, bytes, 0, CLUSTER));
	}
	if (waitpid(child, &status, 0) != child || status)
		die("the life failed");
}

/* Behind the group that the life left; so many times, for one run after the
   other. */
static void forge(const struct row *row, unsigned int times)
{
	struct group group = { .words = 2, .body = { row->head, row->value } };
	struct journal journal = {
		.names = &qcow_names_of_host,
		.path = scratch_find("*.journal"),
	};
	struct group old;

	if (journal_map(&journal, false, NULL))
		die("the journal cannot be mapped");
	journal.end = journal.header->start;
	while (journal_read_group(&journal, journal.end, &old))
		journal.end += 1 + old.words;
	if (journal.end == journal.header->start)
		die("the life left no group");
	for (; times; times--, group.body[0] += GROUP_RUN)
		journal_append(&journal, &group);
	journal_unmap(&journal);
	free(journal.path);
}

static void test_refused(const struct row *row, unsigned int times, int answer,
			 const char *says)
{
	struct qcow_error error = { "" };
	struct qcow_image *image;
	int ret;

	live_and_die();
	forge(row, times);
	ret = open_image(&image, &error);
	if (ret != answer || !strstr(error.text, says))
		die("%s: the open gives %d: %s", row->what, ret, error.text);
}

/* The answer to a read where the second L2 table is. */
static void test_replayed(const struct row *row, unsigned int times, int answer)
{
	static uint8_t bytes[CLUSTER] __attribute__((aligned(4096)));
	uint64_t second = (uint64_t)PER_TABLE * CLUSTER;
	struct qcow_error error = { "" };
	struct qcow_image *image;

	live_and_die();
	forge(row, times);
	if (open_image(&image, &error))
		die("%s: refused: %s", row->what, error.text);
	if (qcow_read(image, bytes, 0, CLUSTER) || *bytes != 1)
		die("%s: what was acknowledged is lost", row->what);
	if (qcow_read(image, bytes, second, CLUSTER) != answer)
		die("%s: a read does not give %d", row->what, answer);
	qcow_close(image); /* whether it succeeds or not */
}

int main(void)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(refused); i++)
		test_refused(&refused[i], 1, -EINVAL, "speaks of clusters");
	for (unsigned int i = 0; i < ARRAY_SIZE(replayed); i++)
		test_replayed(&replayed[i], 1, 0);
	test_replayed(&bad_table, 1, -EIO);
	/* More assignments than there is room for at first (R16), and more than
	   there ever is. */
	test_replayed(&long_run, 40, 0);
	test_refused(&long_run, 1100, -E2BIG, "more clusters than any program");
	return 0;
}
