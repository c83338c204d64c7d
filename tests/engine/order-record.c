// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * An image on a recording disk, for one test at a time, and the questions that
 * tests ask of its record.
 */
#include <stdlib.h>
#include <string.h>
#include "tests/engine/order.h"
#include "tests/lib/helpers.h"
#include "tests/lib/judge.h"
#include "tests/lib/model.h"
#include "qcow/image.h"

struct order_test test;

void load(const char *what, const char *options)
{
	char *path = scratch_path("image");

	test.what = what;
	test.met = false;
	must_run("qemu-img create -q -f qcow2 -o %s %s 4M", options, path);
	disk_load(&test.disk, path);
	free(path);
}

void open_it(bool has_thread)
{
	char *path = scratch_path("image");
	struct qcow_options options = {
		.cache = QCOW_CACHE_WRITEBACK,
		.journal_dir = scratch(),
		.references = &model_references,
		.inline_checkpoint = !has_thread,
		.test = &test.disk.hooks,
	};
	struct qcow_error error = { "" };

	if (qcow_open(path, &options, &test.image, &error))
		die("%s: open: %s", test.what, error.text);
	free(path);
}

void end(void)
{
	struct verdict verdict;

	must(qcow_close(test.image), "close");
	judge(test.disk.bytes, test.disk.size, &verdict);
	if (verdict.corruptions || verdict.leaks)
		die("%s: %s", test.what, verdict.first);
	disk_free(&test.disk);
}

void must(int ret, const char *what)
{
	if (ret)
		die("%s: %s: %s", test.what, what, strerror(-ret));
}

void put(uint64_t offset, size_t length)
{
	must(qcow_write(test.image, test.bytes, offset, length), "write");
}

void flush(void)
{
	must(qcow_flush(test.image), "flush");
}

/* ---- the record ---- */

const struct step *first_step(void)
{
	return test.disk.steps;
}

const struct step *end_step(void)
{
	return test.disk.steps + test.disk.nr_steps;
}

bool is_write(const struct step *step, uint64_t offset)
{
	return step->kind == STEP_WRITE && step->offset <= offset &&
	       offset < step->offset + step->length;
}

const struct step *find_sync(const struct step *from, const struct step *to)
{
	for (; from < to; from++)
		if (from->kind == STEP_SYNC)
			return from;
	return NULL;
}

const struct step *last_write(const struct step *to, uint64_t offset)
{
	while (to-- > first_step())
		if (is_write(to, offset))
			return to;
	die("%s: nothing was written at %d", test.what, (int)offset);
}
