// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Death at every step of a merge.
 *
 * A process merges, with operations of a guest in between.  It dies at the n-th
 * of its writes, syncs, holes and events of the journals, in any of the layers;
 * n takes every value.  Then the image is opened, for another merge or for
 * none, and the disk must be as the guest left it (P1).  The merge begins again
 * and comes to its end.  Each layer is a valid image without leaks (P3).  If a
 * merge had finished before the death, the layer is the disk, even if that
 * process closed nothing.
 *
 * Copies that the process had merged and settled are kept, and the merge that
 * begins again does not make them once more.  A granule that is taken for
 * merged by mistake would show in the layer.
 *
 * These disks are small enough to be copied by one step.  While the first step
 * writes to the layer, the guest can map nothing.
 *
 * usage: merge-crash [SEED]
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include "qcow/bits.h"
#include "qcow/merge.h"
#include "tests/engine/counted.h"
#include "tests/lib/helpers.h"
#include "tests/lib/judge.h"
#include "tests/lib/model.h"
#include "tests/lib/operations.h"

#define OPERATIONS 10
#define LAYERS	   3
#define SAMPLES	   17 /* one of so many deaths is shown to qemu-img */

struct chain {
	const char *top, *layer; /* options; NULL: a raw file */
	unsigned int top_kib, layer_kib;
};

static const struct chain chains[] = {
	{ "cluster_size=4k", "cluster_size=4k", 300, 300 },
	{ "cluster_size=4k", "cluster_size=64k", 300, 190 },
	{ "cluster_size=64k", "cluster_size=512", 300, 33 },
	{ "cluster_size=16k,extended_l2=on", "cluster_size=16k,extended_l2=on",
	  300, 300 },
	{ "cluster_size=4k", NULL, 300, 170 },
};

/* No deaths here: the copies are smaller than a cluster of the layer. */
static const struct chain large = {
	"cluster_size=4k",
	"cluster_size=2M",
	2000,
	2000,
};

/* The dying process tells these. */
struct news {
	unsigned int begun, acked; /* operations */
	bool finished;		   /* the merge */
};

static struct {
	const struct chain *chain;
	uint64_t size;
	struct operation operations[OPERATIONS];
	uint8_t *states[OPERATIONS + 1]; /* of the disk */
	char *paths[LAYERS];
	uint8_t *before[LAYERS]; /* of the files */
	size_t before_size[LAYERS];
	struct news *news;
	struct qcow_merge_kept kept; /* shared with the dying process */
	uint64_t deaths, checks;
} test;

/* ---- the disk ---- */

/* The image on top, during a step. */
static struct qcow_image *stepping;

/* R9: nobody reads or writes bytes that a step may move. */
static void probe(void)
{
	const uint32_t unit = 4096;
	uint64_t offset = round_down(test.size - 1, unit);
	struct qcow_io io;

	if (!stepping)
		return;
	if (qcow_map_read(stepping, &io, offset, test.size - offset) != -EBUSY)
		die("%s: a step does not keep the guest out", test.chain->top);
}

struct opened {
	struct counted top, layer;
	struct qcow_image *image;
};

static void open_path(struct opened *opened, const char *path,
		      unsigned int merge_into, const char *when)
{
	char *journals = scratch_path("journals");
	struct qcow_options options = {
		.cache = QCOW_CACHE_WRITEBACK,
		.journal_dir = journals,
		.journal_size = 16 << 10,
		.references = &model_references,
		.inline_checkpoint = true,
		.merge_into = merge_into,
		.test = &opened->top.hooks,
	};
	struct qcow_error error = { "" };

	counted_open(&opened->top, path);
	counted_open(&opened->layer, test.paths[1]);
	opened->layer.on_write = probe;
	if (path == test.paths[0])
		opened->top.hooks.under = &opened->layer.hooks;
	if (qcow_open(path, &options, &opened->image, &error))
		die("%s, %s: open: %s", test.chain->top, when, error.text);
	free(journals);
}

static void close_disk(struct opened *opened, const char *when)
{
	if (qcow_close(opened->image))
		die("%s, %s: close", test.chain->top, when);
	counted_close(&opened->top);
	counted_close(&opened->layer);
}

/* ---- the process that dies ---- */

static void must(int ret, const char *what)
{
	if (ret)
		die("%s: %s: %s", test.chain->top, what, strerror(-ret));
}

static void merge_and_write(struct opened *opened, struct qcow_merge *merge)
{
	struct qcow_merge_progress progress;

	for (unsigned int n = 0; n < OPERATIONS; n++) {
		test.news->begun = n + 1;
		must(operation_do(&test.operations[n], opened->image, n % 2,
				  &opened->top.hooks),
		     "operation");
		test.news->acked = n + 1;
		if (n % 3)
			continue;
		/* Only the first step copies the whole disk. */
		stepping = n ? NULL : opened->image;
		must(qcow_merge_step(merge, &progress), "step");
		stepping = NULL;
		must(qcow_merge_settle(merge), "settle");
	}
}

static void live(void)
{
	struct qcow_error error = { "" };
	struct qcow_merge *merge;
	struct opened opened;

	open_path(&opened, test.paths[0], 1, "life");
	must(qcow_merge_open(opened.image, &test.kept, &merge, &error),
	     error.text);
	merge_and_write(&opened, merge);
	must(qcow_merge_finish(merge, &error), error.text);
	test.news->finished = true;
	qcow_merge_close(merge);
	close_disk(&opened, "life");
}

/* ---- judgement ---- */

static void check_disk(struct qcow_image *image, const char *when)
{
	uint8_t *bytes = aligned_alloc(4096, round_up(test.size, 4096));
	const uint8_t *low = test.states[test.news->acked];
	const uint8_t *high = test.states[test.news->begun];

	if (qcow_size(image) != test.size)
		die("%s: %s: the disk has another size", test.chain->top, when);
	must(qcow_read(image, bytes, 0, test.size), "read");
	for (uint64_t at = 0; at < test.size; at += 512)
		if (memcmp(bytes + at, low + at, 512) &&
		    memcmp(bytes + at, high + at, 512))
			die("%s: %s: sector %lu is of no state",
			    test.chain->top, when, at / 512);
	/* From now on the disk must stay as it is. */
	memcpy(test.states[test.news->begun], bytes, test.size);
	test.news->acked = test.news->begun;
	free(bytes);
}

static void check_layer(unsigned int layer, bool sample)
{
	struct verdict verdict;
	uint8_t *bytes;
	size_t size;

	if (layer && !test.chain->layer)
		return;
	bytes = read_file(test.paths[layer], &size);
	judge(bytes, size, &verdict);
	if (verdict.corruptions || verdict.leaks)
		die("%s: layer %u: %u corruptions, %u leaks: %s",
		    test.chain->top, layer, verdict.corruptions, verdict.leaks,
		    verdict.first);
	if (sample && run("qemu-img check -q %s", test.paths[layer]))
		die("%s: qemu-img check finds errors", test.paths[layer]);
	test.checks += sample;
	free(bytes);
}

/* Merges to the end. */
static void merge_again(struct opened *opened)
{
	struct qcow_error error = { "" };
	struct qcow_merge *merge;

	must(qcow_merge_open(opened->image, &test.kept, &merge, &error),
	     error.text);
	check_disk(opened->image, "before the merge");
	must(qcow_merge_finish(merge, &error), error.text);
	check_disk(opened->image, "after the merge");
	qcow_merge_close(merge);
}

static void check_served(const char *when)
{
	struct opened opened;

	/* A raw layer is read as a file. */
	if (!test.chain->layer) {
		size_t size;
		uint8_t *bytes = read_file(test.paths[1], &size);

		if (size != test.size ||
		    memcmp(bytes, test.states[test.news->begun], size))
			die("%s: the file is not the disk", when);
		free(bytes);
		return;
	}
	open_path(&opened, test.paths[1], 0, when);
	check_disk(opened.image, when);
	close_disk(&opened, when);
}

static void judge_death(int n)
{
	bool sample = n % SAMPLES == 0;
	struct opened opened;

	if (test.news->finished && n % 2) {
		check_served("finished");
		check_layer(1, sample);
		return;
	}
	if (n % 3 == 0) {
		open_path(&opened, test.paths[0], 0, "no merge");
		check_disk(opened.image, "no merge");
		close_disk(&opened, "no merge");
		check_layer(0, sample);
	}
	open_path(&opened, test.paths[0], 1, "death");
	check_disk(opened.image, "death");
	if (n % 4)
		merge_again(&opened);
	close_disk(&opened, "death");
	check_layer(0, sample);
	check_layer(1, sample);
	if (n % 4)
		check_served("merged again");
}

/* ---- one chain ---- */

static void make_raw(const char *path, unsigned int kib, uint32_t number)
{
	uint64_t size = kib * 1024ull;
	uint8_t *bytes = malloc(size);

	for (uint64_t s = 0; s < size / 512; s++)
		operation_stamp(bytes + s * 512, number, s);
	write_file(path, bytes, size);
	free(bytes);
}

static void make_chain(const struct chain *chain, struct random *random)
{
	char *raw = scratch_path("model");
	size_t size;

	for (unsigned int i = 0; i < LAYERS; i++) {
		char name[16];

		snprintf(name, sizeof(name), "layer%u", i);
		test.paths[i] = scratch_path(name);
	}
	must_run("rm -rf %s/*; mkdir %s/journals", scratch(), scratch());
	make_raw(test.paths[2], chain->layer_kib, 5000);
	if (chain->layer)
		must_run(
			"qemu-img create -q -f qcow2 -o %s -F raw -b %s %s %uK && "
			"qemu-io -c 'write -q -P 0 8K 20K' %s",
			chain->layer, test.paths[2], test.paths[1],
			chain->layer_kib, test.paths[1]);
	else
		make_raw(test.paths[1], chain->layer_kib, 6000);
	must_run("qemu-img create -q -f qcow2 -o %s -F %s -b %s %s %uK && "
		 "qemu-io -c 'write -q -P 0 0 5K' -c 'write -q -z 100K 30K' %s",
		 chain->top, chain->layer ? "qcow2" : "raw", test.paths[1],
		 test.paths[0], chain->top_kib, test.paths[0]);
	must_run("qemu-img convert -O raw %s %s", test.paths[0], raw);
	test.states[0] = read_file(raw, &size);
	test.size = size;
	for (unsigned int n = 0; n < OPERATIONS; n++)
		operation_draw(&test.operations[n], n + 1, random, size, 4096,
			       false);
	for (unsigned int i = 0; i < LAYERS; i++)
		test.before[i] = read_file(test.paths[i], &test.before_size[i]);
	free(raw);
}

/* A discard takes effect on whole clusters of the top only.  These may be
   larger than the clusters that the operations were drawn for. */
static void make_states(uint32_t cluster)
{
	for (unsigned int n = 0; n < OPERATIONS; n++) {
		free(test.states[n + 1]);
		test.states[n + 1] = malloc(test.size);
		memcpy(test.states[n + 1], test.states[n], test.size);
		operation_apply(&test.operations[n], test.states[n + 1],
				test.size, cluster);
	}
}

static void restore(void)
{
	for (unsigned int i = 0; i < LAYERS; i++)
		write_file(test.paths[i], test.before[i], test.before_size[i]);
	must_run("rm -f %s/journals/*", scratch());
	*test.news = (struct news){ 0 };
	qcow_merge_forget(&test.kept);
}

static void test_chain(const struct chain *chain, bool deaths,
		       struct random *random)
{
	struct qcow_error error = { "" };
	struct qcow_info info;
	int n = deaths ? 0 : INT_MAX;

	test.chain = chain;
	make_chain(chain, random);
	if (qcow_read_info(test.paths[0], &info, &error))
		die("%s", error.text);
	for (bool died = true; died; n += died) {
		restore();
		make_states(info.cluster_size);
		died = counted_dies_at(n, live);
		test.deaths += died;
		judge_death(n);
	}
	for (unsigned int i = 0; i < LAYERS; i++) {
		free(test.before[i]);
		free(test.paths[i]);
	}
	for (unsigned int i = 0; i <= OPERATIONS; i++) {
		free(test.states[i]);
		test.states[i] = NULL;
	}
}

static void *share(size_t size)
{
	return mmap(NULL, size, PROT_READ | PROT_WRITE,
		    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
}

int main(int argc, char **argv)
{
	struct random random = {
		.state = argc > 1 ? strtoull(argv[1], NULL, 0) : 1,
	};

	test.news = share(sizeof(*test.news));
	test.kept.size = qcow_merge_kept_size(large.top_kib * 1024ull);
	test.kept.memory = share(test.kept.size);
	for (unsigned int n = 0; n < effort(); n++)
		for (unsigned int c = 0; c < ARRAY_SIZE(chains); c++)
			test_chain(&chains[c], true, &random);
	test_chain(&large, false, &random);
	printf("%lu deaths, %lu qemu-img checks\n", test.deaths, test.checks);
	return 0;
}
