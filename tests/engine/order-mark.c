// SPDX-License-Identifier: GPL-2.0-or-later
/* The moments when the mark of a life, and the autoclear bits, are written. */
#include <stdio.h>
#include <stdlib.h>
#include "tests/engine/order.h"
#include "tests/lib/helpers.h"
#include "qcow/image.h"

#define UNKNOWN (1ull << 10) /* an autoclear bit */

static void test_mark_comes_first(void)
{
	load("the mark (R12)", "cluster_size=64k");
	open_it(false);
	disk_record(&test.disk, NULL);
	put(0, CLUSTER);
	if (test.disk.nr_steps < 3 || !is_write(first_step(), 0))
		die("%s: it is not the first write", test.what);
	if (first_step()[1].kind != STEP_SYNC)
		die("%s: it is not synced before the next write", test.what);
	end();
}

static void test_mark_goes_last(void)
{
	const struct step *mark, *step;

	load("the end of the mark (R13)", "cluster_size=64k");
	open_it(false);
	put(0, CLUSTER);
	flush();
	disk_record(&test.disk, NULL);
	/* A write in place: only a sync makes it durable. */
	put(0, CLUSTER);
	must(qcow_close(test.image), "close");
	mark = last_write(end_step(), 0);
	step = mark - 1;
	if (step < first_step() || step->kind != STEP_SYNC)
		die("%s: no sync before it", test.what);
	if (!find_sync(mark, end_step()))
		die("%s: no sync after it", test.what);
	disk_free(&test.disk);
}

static void test_unknown_autoclear(void)
{
	uint8_t *bits;

	load("autoclear bits", "cluster_size=64k");
	bits = test.disk.bytes + HEADER_AUTOCLEAR;
	store_be64(bits, UNKNOWN);
	open_it(false);
	if (load_be64(bits) != UNKNOWN)
		die("%s: the open changes them", test.what);
	put(0, CLUSTER);
	if (load_be64(bits) & UNKNOWN)
		die("%s: a write leaves an unknown one (P5)", test.what);
	must(qcow_close(test.image), "close");
	if (load_be64(bits))
		die("%s: the close leaves some", test.what);
	disk_free(&test.disk);
}

static void test_raw_data(void)
{
	char *path = scratch_path("data");
	char *options = NULL;
	struct disk data;

	if (asprintf(&options, "data_file=%s,data_file_raw=on", path) < 0)
		die("out of memory");
	load("a raw data file", options);
	disk_load(&data, path);
	test.disk.hooks.data = &data.hooks;
	open_it(false);
	put(0, CLUSTER);
	must(qcow_close(test.image), "close");
	if (load_be64(test.disk.bytes + HEADER_AUTOCLEAR) != AUTOCLEAR_RAW_DATA)
		die("%s: its bit is lost", test.what);
	disk_free(&test.disk);
	disk_free(&data);
	free(options);
	free(path);
}

void test_mark(void)
{
	test_mark_comes_first();
	test_mark_goes_last();
	test_unknown_autoclear();
	test_raw_data();
}
