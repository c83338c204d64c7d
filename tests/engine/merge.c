// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Merges of many kinds of chains, with random operations of a guest between the
 * steps.  At every point the disk shows all that the guest wrote.  At the end
 * the layer alone shows the same.  qemu-img confirms both, and finds no fault
 * in any layer.  Other layers stay as they were.  Then a guest runs in threads
 * of its own, whose operations meet the merge anywhere.
 *
 * usage: merge [SEED]
 */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "qcow/bits.h"
#include "qcow/merge.h"
#include "tests/engine/merge.h"
#include "tests/lib/clear.h"
#include "tests/lib/helpers.h"
#include "tests/lib/model.h"
#include "tests/lib/operations.h"

#define OPERATIONS 40 /* of the guest, in each merge */

static const struct chain chains[] = {
	CHAIN(1, L("cluster_size=64k", 3000), L("cluster_size=64k", 3000)),
	CHAIN(1, L("cluster_size=64k", 3000), L(NULL, 3000)),
	CHAIN(1, L("cluster_size=4k", 3001), L("cluster_size=64k", 3001)),
	CHAIN(1, L("cluster_size=64k", 3001), L("cluster_size=512", 3001)),
	CHAIN(1, L("cluster_size=512", 301), L("cluster_size=2M", 301)),
	/* A layer that is smaller than the top. */
	CHAIN(1, L("cluster_size=64k", 3000), L("cluster_size=64k", 1001)),
	CHAIN(1, L("cluster_size=64k", 3000), L("cluster_size=512", 101)),
	CHAIN(1, L("cluster_size=64k", 3000), L(NULL, 1001)),
	CHAIN(2, L("cluster_size=64k", 3000), L("cluster_size=64k", 100),
	      L("cluster_size=64k", 1001), L("cluster_size=4k", 3500)),
	/* Images with subclusters. */
	CHAIN(1, L("cluster_size=16k,extended_l2=on", 2000),
	      L("cluster_size=16k,extended_l2=on", 2000), L(NULL, 2000)),
	CHAIN(1, L("cluster_size=128k,extended_l2=on", 2000),
	      L("cluster_size=64k,compat=0.10", 2000), L(NULL, 1500)),
	CHAIN(1, L("cluster_size=16k,extended_l2=on", 2000), L(NULL, 2000)),
	CHAIN(1, L("cluster_size=4k,compat=0.10", 2000),
	      L("cluster_size=4k,compat=0.10", 2000),
	      L("cluster_size=64k", 2000)),
	/* Several layers are merged at once. */
	CHAIN(2, L("cluster_size=64k", 3000), L("cluster_size=4k", 3000),
	      L("cluster_size=64k", 3000)),
	CHAIN(3, L("cluster_size=4k", 2000), L("cluster_size=64k", 2000),
	      L("cluster_size=16k,extended_l2=on", 1999), L(NULL, 1998)),
	CHAIN(1, L("cluster_size=4k", 2000),
	      L("cluster_size=4k,data_file=$i.data", 1500), L(NULL, 1000)),
};

/* The layer has compressed clusters, or a snapshot. */
static const struct chain shared[] = {
	{
		.into = 1,
		.layers = { L("cluster_size=4k", 2000),
			    L("cluster_size=64k", 2000) },
		.then = "qemu-img convert -c -O qcow2 $i $i.c && mv $i.c $i",
	},
	{
		.into = 1,
		.layers = { L("cluster_size=4k", 2000),
			    L("cluster_size=64k", 2000) },
		.then = "qemu-img snapshot -c one $i",
	},
};

/* ---- merging ---- */

static void compare_disk(struct qcow_image *image, const char *when)
{
	uint8_t *bytes = aligned_alloc(4096, round_up(test.size, 4096));
	int ret = qcow_read(image, bytes, 0, test.size);

	if (ret)
		die_here(when, strerror(-ret));
	for (uint64_t s = 0; s < test.size / 512; s++) {
		char why[64];

		if (!memcmp(bytes + s * 512, test.model + s * 512, 512))
			continue;
		snprintf(why, sizeof(why), "sector %lu differs", s);
		die_here(when, why);
	}
	free(bytes);
}

static void guest_operation(struct qcow_image *image, unsigned int n,
			    bool discards, struct random *random)
{
	struct operation operation;
	int ret;

	operation_draw(&operation, n, random, test.size,
		       qcow_cluster_size(image), false);
	ret = operation_do(&operation, image, random_below(random, 2), NULL);
	if (ret)
		die_here("operation", strerror(-ret));
	if (operation.kind != OPERATION_DISCARD || discards)
		operation_apply(&operation, test.model, test.size,
				qcow_cluster_size(image));
}

static void step(struct qcow_merge *merge, struct qcow_merge_progress *progress)
{
	int ret = qcow_merge_step(merge, progress);

	if (ret)
		die_here("step", strerror(-ret));
	if (progress->total != test.size || progress->done > progress->total)
		die_here("step", "its progress cannot be");
}

static void merge_and_write(struct qcow_image *image, struct qcow_merge *merge,
			    struct random *random)
{
	bool discards = model_discards(test.paths[0]);
	struct qcow_merge_progress progress = { 0 };
	struct qcow_error error = { "" };
	unsigned int n = 0;

	while (n < OPERATIONS || progress.done < progress.total) {
		step(merge, &progress);
		compare_disk(image, "after a step");
		if (n < OPERATIONS)
			guest_operation(image, ++n, discards, random);
	}
	/* These operations are left for the last pass. */
	for (unsigned int i = 0; i < 5; i++)
		guest_operation(image, ++n, discards, random);
	if (qcow_merge_finish(merge, &error))
		die_here("finish", error.text);
	compare_disk(image, "at the end");
	check_flushed();
}

static void test_chain(const struct chain *chain, struct random *random)
{
	struct qcow_error error = { "" };
	struct qcow_image *image;
	struct qcow_merge *merge;

	make_chain(chain, random);
	image = open_chain();
	check_written(image);
	if (qcow_merge_open(image, NULL, &merge, &error))
		die_here("merge", error.text);
	merge_and_write(image, merge, random);
	qcow_merge_close(merge);
	model_close(image);
	check_layers();
	free_chain();
}

/* ---- cancelled, and begun again ---- */

static void test_cancel(const struct chain *chain, struct random *random)
{
	struct qcow_merge_progress progress;
	struct qcow_error error = { "" };
	struct qcow_image *image;
	struct qcow_merge *merge;

	make_chain(chain, random);
	image = open_chain();
	for (unsigned int n = 0; n < 3; n++) {
		if (qcow_merge_open(image, NULL, &merge, &error))
			die_here("merge", error.text);
		step(merge, &progress);
		qcow_merge_close(merge);
		guest_operation(image, n + 1, true, random);
		compare_disk(image, "cancelled");
	}
	if (qcow_merge_open(image, NULL, &merge, &error) ||
	    qcow_merge_finish(merge, &error))
		die_here("merge", error.text);
	qcow_merge_close(merge);
	model_close(image);
	check_layers();
	free_chain();
}

/* ---- a layer that was smaller than the disk ---- */

/* A layer that grew would show the copied bytes, if the guest's zeros did not
   hide them again. */
static void test_smaller(struct random *random)
{
	static const struct chain chain = CHAIN(1, L("cluster_size=64k", 1024),
						L("cluster_size=64k", 512));
	const uint64_t place = 768 * KIB, length = 64 * KIB;
	struct qcow_merge_progress progress;
	struct qcow_error error = { "" };
	struct qcow_image *image;
	struct qcow_merge *merge;

	make_chain(&chain, random);
	image = open_chain();
	if (qcow_merge_open(image, NULL, &merge, &error))
		die_here("merge", error.text);
	memset(test.model + place, 7, 2 * length);
	if (qcow_write(image, test.model + place, place, 2 * length))
		die("a write beyond the layer's end fails");
	do
		step(merge, &progress);
	while (progress.done < progress.total);
	memset(test.model + place, 0, 2 * length);
	if (clear_zeroes(image, place, length, false) ||
	    clear_discard(image, place + length, length))
		die("zeros beyond the layer's end fail");
	compare_disk(image, "zeroed");
	qcow_merge_close(merge);
	model_close(image);
	image = open_chain();
	compare_disk(image, "zeroed, and opened again");
	model_close(image);
	free_chain();
}

/* ---- threads ---- */

#define GUESTS 3
#define AREA   (256u * KIB) /* of the disk; each guest has one */
#define ROUNDS 150

struct guest {
	pthread_t thread;
	struct qcow_image *image;
	struct random random;
	unsigned int number;
};

static void write_area(struct guest *guest, unsigned int n)
{
	uint64_t areas = test.size / AREA / GUESTS;
	uint64_t area = random_below(&guest->random, areas) * GUESTS +
			guest->number;
	struct operation operation;

	operation_draw(&operation, 1000 * (guest->number + 1) + n,
		       &guest->random, AREA, qcow_cluster_size(guest->image),
		       false);
	operation.offset += area * AREA;
	if (operation_do(&operation, guest->image, n % 2, NULL))
		die("a guest's operation fails");
	operation_apply(&operation, test.model, test.size,
			qcow_cluster_size(guest->image));
}

static void *be_guest(void *argument)
{
	for (unsigned int n = 0; n < ROUNDS; n++)
		write_area(argument, n);
	return NULL;
}

static void run_guests(struct qcow_image *image, struct qcow_merge *merge,
		       struct random *random)
{
	struct qcow_merge_progress progress = { 0 };
	struct guest guests[GUESTS];

	for (unsigned int g = 0; g < GUESTS; g++) {
		guests[g] = (struct guest){
			.image = image,
			.random.state = random_next(random),
			.number = g,
		};
		pthread_create(&guests[g].thread, NULL, be_guest, &guests[g]);
	}
	for (unsigned int n = 0; n < ROUNDS; n++)
		step(merge, &progress);
	for (unsigned int g = 0; g < GUESTS; g++)
		pthread_join(guests[g].thread, NULL);
}

static void test_threads(const struct chain *chain, struct random *random)
{
	struct qcow_error error = { "" };
	struct qcow_image *image;
	struct qcow_merge *merge;

	make_chain(chain, random);
	image = open_chain();
	if (qcow_merge_open(image, NULL, &merge, &error))
		die_here("merge", error.text);
	run_guests(image, merge, random);
	if (qcow_merge_finish(merge, &error))
		die_here("finish", error.text);
	compare_disk(image, "after the guests");
	qcow_merge_close(merge);
	model_close(image);
	check_layers();
	free_chain();
}

/* ---- refusals ---- */

static void expect_refusal(const struct chain *chain, struct random *random)
{
	struct qcow_error error = { "" };
	struct qcow_image *image;
	struct qcow_merge *merge;

	make_chain(chain, random);
	image = open_chain();
	if (qcow_merge_open(image, NULL, &merge, &error) != -EINVAL ||
	    !error.text[0])
		die_here("merge", "it is not refused");
	model_close(image);
	free_chain();
}

/* P4: another disk lies on the layer, too.  The merge must be refused. */
static void test_shared(struct random *random)
{
	struct qcow_options reader = {
		.read_only = true,
		.journal_dir = scratch(),
	};
	struct qcow_options merger = {
		.journal_dir = scratch(),
		.merge_into = 1,
	};
	struct qcow_error error = { "" };
	struct qcow_image *image, *other;

	make_chain(&chains[0], random);
	if (qcow_open(test.paths[1], &reader, &other, &error))
		die_here("open", error.text);
	if (qcow_open(test.paths[0], &merger, &image, &error) != -EBUSY)
		die_here("open", "a layer in use is opened for writing");
	model_close(other);
	free_chain();
}

static void test_refusals(struct random *random)
{
	static const struct chain none = CHAIN(0, L("cluster_size=64k", 300),
					       L("cluster_size=64k", 300));
	static const struct chain larger = CHAIN(1, L("cluster_size=64k", 300),
						 L("cluster_size=64k", 301));

	expect_refusal(&none, random);
	expect_refusal(&larger, random);
}

int main(int argc, char **argv)
{
	struct random random = {
		.state = argc > 1 ? strtoull(argv[1], NULL, 0) : 1,
	};

	for (unsigned int n = 0; n < effort(); n++)
		for (unsigned int c = 0; c < ARRAY_SIZE(chains); c++)
			test_chain(&chains[c], &random);
	for (unsigned int c = 0; c < ARRAY_SIZE(shared); c++) {
		test_chain(&shared[c], &random);
		test_threads(&shared[c], &random);
	}
	test_threads(&chains[0], &random);
	test_cancel(&chains[0], &random);
	test_smaller(&random);
	test_refusals(&random);
	test_shared(&random);
	return 0;
}
