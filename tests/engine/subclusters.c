// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Subclusters: which of them a change allocates, makes zero, or leaves alone.
 *
 * An image has guest clusters of every state, as qemu-io makes them.  Each
 * change is done to each of them, and the process dies.  The next process goes
 * on with random changes and closes the image.  Both times every L2 entry must
 * be as it is predicted here, and the guest must see the bytes that it wrote.
 * qemu-img must find nothing wrong, and snapshots must not have changed.
 *
 *	write		allocates the touched subclusters; in a compressed or
 *			shared cluster all of them, in another place
 *	discard		of a whole cluster: zero over something, else nothing
 *	zeros		the same of a whole cluster, but a host cluster of
 *			its own may be kept; a write where a part of it is
 *			not zero
 *
 * usage: subclusters [SEED]
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "tests/lib/model.h"
#include "tests/engine/l2-prediction.h"
#include "tests/engine/subclusters.h"
#include "tests/lib/judge.h"
#include "qcow/image.h"

#define SECTORS (CLUSTER / 512)
#define RANDOM	150 /* changes of the second life */

/* In sectors, of which a subcluster has four. */
static const struct change {
	enum operation_kind kind;
	unsigned int first, count;
} changes[] = {
	{ OPERATION_WRITE, 28, 4 },
	{ OPERATION_WRITE, 124, 4 },
	{ OPERATION_WRITE, 127, 1 },
	{ OPERATION_WRITE, 1, 1 },
	{ OPERATION_WRITE, 14, 11 },
	{ OPERATION_WRITE, 22, 22 },
	{ OPERATION_WRITE, 0, SECTORS },
	{ OPERATION_WRITE, 127, 2 },
	{ OPERATION_DISCARD, 0, SECTORS },
	{ OPERATION_DISCARD, 16, 24 },
	{ OPERATION_ZEROES_UNMAP, 0, SECTORS },
	{ OPERATION_ZEROES_KEEP, 0, SECTORS },
	{ OPERATION_ZEROES_UNMAP, 16, 24 },
	{ OPERATION_ZEROES_KEEP, 15, 3 },
};

#define CHANGES ARRAY_SIZE(changes)

/* Each state meets each change twice: blocking and mapped. */
_Static_assert(CHANGES * 2 == STATE_CLUSTERS, "clusters of each state");

static struct {
	const struct variant *variant;
	char *path;
	struct prediction predicted;
	struct random random;
	unsigned long judged;
} test;

/* Loads the bytes that the guest sees, by qemu-img. */
static void load_content(void)
{
	char *raw = scratch_path("raw");
	size_t size;

	must_run("qemu-img convert -f qcow2 -O raw %s %s", test.path, raw);
	test.predicted.bytes = read_file(raw, &size);
	free(raw);
}

/* ---- judging ---- */

static void judge_entry(const char *when, uint64_t guest,
			const struct entry *is, const struct entry *must)
{
	const struct change *change = &changes[guest / 2 % CHANGES];

	test.judged++;
	if (is->packed == must->packed && is->has_host == must->has_host &&
	    is->bitmap == must->bitmap &&
	    (must->moved || is->host == must->host))
		return;
	die("%s, %s: cluster %lu (%s; kind %u, sectors %u, %u): host %#lx, bitmap %#lx, predicted %s %#lx, %#lx",
	    test.variant->name, when, guest, image_state(guest), change->kind,
	    change->first, change->count, is->host, is->bitmap,
	    must->moved ? "one like" : "", must->host, must->bitmap);
}

/* qemu-img check does not look at counts behind the end of the file. */
static void judge_counts_behind(const char *when)
{
	size_t size;
	uint8_t *bytes = read_file(test.path, &size);
	uint64_t end = div_round_up(size, CLUSTER);

	for (uint64_t c = end; c < end + CLUSTERS; c++)
		if (judge_count(bytes, size, c))
			die("%s, %s: cluster %lu is counted, behind the end",
			    test.variant->name, when, c);
	free(bytes);
}

static void compare_entries(const char *when)
{
	struct entry entries[CLUSTERS];

	entries_read(test.path, entries, CLUSTERS);
	judge_counts_behind(when);
	for (uint64_t g = 0; g < CLUSTERS; g++)
		judge_entry(when, g, &entries[g], &test.predicted.entries[g]);
	/* From now on the places of the new host clusters are known. */
	memcpy(test.predicted.entries, entries, sizeof(entries));
}

/* ---- lives ---- */

static void compare_content(struct qcow_image *image, const char *when)
{
	uint8_t *bytes = aligned_alloc(4096, round_up(SIZE, 4096));

	if (qcow_read(image, bytes, 0, SIZE))
		die("%s, %s: read", test.variant->name, when);
	for (uint64_t s = 0; s < SIZE / 512; s++)
		if (memcmp(bytes + s * 512, test.predicted.bytes + s * 512,
			   512))
			die("%s, %s: sector %lu of cluster %lu (%s) differs",
			    test.variant->name, when, s % SECTORS, s / SECTORS,
			    image_state(s / SECTORS));
	free(bytes);
}

static void change(struct qcow_image *image, const struct operation *o,
		   bool mapped)
{
	if (o->length && operation_do(o, image, mapped, NULL))
		die("%s: operation %u fails", test.variant->name, o->number);
}

/* The change that is made to the cluster. */
static struct operation change_of(uint64_t guest)
{
	const struct change *c = &changes[guest / 2 % CHANGES];
	struct operation o = {
		.kind = c->kind,
		.offset = guest * CLUSTER + c->first * 512,
		.number = guest + 1,
	};

	if (o.offset < SIZE)
		o.length = min_u64(c->count * 512, SIZE - o.offset);
	return o;
}

/* Changes the image if there is one; without an image, predicts the change. */
static void change_now(struct qcow_image *image, enum operation_kind kind,
		       uint64_t guest, uint64_t clusters)
{
	struct operation o = {
		.kind = kind,
		.offset = guest * CLUSTER,
		.length = clusters * CLUSTER,
		.number = (1u << 20) + guest,
	};

	if (image)
		change(image, &o, true);
	else
		predict(&test.predicted, &o);
}

/* A discard in which no cluster can share anything with another one, so that
   each group is as long as can be. */
static void discard_fragments(struct qcow_image *image)
{
	change_now(image, OPERATION_DISCARD, 0, 120);
	for (uint64_t g = 120; g; g -= 2)
		change_now(image, OPERATION_WRITE, g - 2, 1);
	change_now(image, OPERATION_DISCARD, 0, 120);
}

static void live_and_die(void)
{
	struct qcow_image *image = model_open(test.path, QCOW_CACHE_WRITEBACK);

	for (uint64_t g = 0; g < CLUSTERS; g++) {
		struct operation o = change_of(g);

		change(image, &o, g % 2);
		if (!random_below(&test.random, 100) && qcow_flush(image))
			die("%s: flush", test.variant->name);
	}
	compare_content(image, "before the death");
	_exit(0);
}

static void die_of_fragments(void)
{
	struct qcow_image *image = model_open(test.path, QCOW_CACHE_WRITEBACK);

	discard_fragments(image);
	_exit(0);
}

/* Runs the life in a child, which dies.  Then its changes are replayed. */
static void live(void (*life)(void))
{
	int status;

	if (!fork())
		life();
	wait(&status);
	if (status)
		die("a life ended with status %#x", status);
	model_close(model_open(test.path, QCOW_CACHE_WRITEBACK));
	compare_entries("replayed");
}

static void first_life(void)
{
	for (uint64_t g = 0; g < CLUSTERS; g++) {
		struct operation o = change_of(g);

		predict(&test.predicted, &o);
	}
	live(live_and_die);
}

static void second_life(void)
{
	struct qcow_image *image = model_open(test.path, QCOW_CACHE_WRITEBACK);

	compare_content(image, "replayed");
	for (unsigned int n = 0; n < RANDOM * effort(); n++) {
		struct operation o;

		operation_draw(&o, (2u << 20) + n, &test.random, SIZE, CLUSTER,
			       false);
		predict(&test.predicted, &o);
		change(image, &o, random_below(&test.random, 2));
	}
	compare_content(image, "before the close");
	model_close(image);
	compare_entries("closed");
}

/* ---- the judgement of qemu-img ---- */

static void judge_with_qemu(void)
{
	const char *what = test.variant->name;
	char *raw = scratch_path("raw");

	write_file(raw, test.predicted.bytes, SIZE);
	if (run("qemu-img check -q %s", test.path))
		die("%s: qemu-img check finds errors", what);
	if (run("qemu-img compare -q -f qcow2 -F raw %s %s", test.path, raw))
		die("%s: qemu-img compare finds a difference", what);
	if (test.variant->raw &&
	    run("qemu-img compare -q -f raw -F raw %s.data %s", test.path, raw))
		die("%s: the data file alone is another disk", what);
	if (test.variant->snapshot)
		must_run(
			"qemu-img convert -l one -O raw %s %s && cmp %s %s.one",
			test.path, raw, raw, test.path);
	free(raw);
}

static void test_variant(const struct variant *variant)
{
	static struct entry entries[CLUSTERS];

	test.variant = variant;
	test.predicted = (struct prediction){
		.size = SIZE,
		.cluster = CLUSTER,
		.base_size = variant->backing ? BASE_SIZE : 0,
		.data_file = variant->data_file,
		.entries = entries,
	};
	image_make(test.path, variant);
	load_content();
	entries_read(test.path, entries, CLUSTERS);
	first_life();
	judge_with_qemu();
	discard_fragments(NULL);
	live(die_of_fragments);
	second_life();
	judge_with_qemu();
	free(test.predicted.bytes);
}

int main(int argc, char **argv)
{
	test.random.state = argc > 1 ? strtoull(argv[1], NULL, 0) : 1;
	test.path = scratch_path("image");
	for (unsigned int v = 0; v < nr_variants; v++)
		test_variant(&variants[v]);
	printf("%lu entries as predicted\n", test.judged);
	free(test.path);
	return 0;
}
