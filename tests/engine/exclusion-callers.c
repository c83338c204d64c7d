// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The image of `exclusion`, on a disk in memory, and its callers, each of which
 * has a thread of its own.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "tests/engine/exclusion.h"
#include "tests/lib/helpers.h"
#include "tests/lib/judge.h"

#define PATIENCE 100u /* milliseconds for an event that must not come */

struct exclusion_test test;

void start(const char *what, const char *make)
{
	char *path = scratch_path("image");
	struct qcow_options options = {
		.cache = QCOW_CACHE_WRITEBACK,
		.journal_dir = scratch(),
		.inline_checkpoint = true,
		.test = &test.disk.hooks,
	};
	struct qcow_error error = { "" };

	test.what = what;
	must_run("cd %s && rm -f image && %s", scratch(), make);
	disk_load(&test.disk, path);
	if (qcow_open(path, &options, &test.image, &error))
		die("%s: open: %s", what, error.text);
	free(path);
}

void start_usual(const char *what)
{
	start(what, "qemu-img create -q -f qcow2 image 64M");
}

void end(void)
{
	struct verdict verdict;

	if (qcow_close(test.image))
		die("%s: the close fails", test.what);
	judge(test.disk.bytes, test.disk.size, &verdict);
	if (verdict.corruptions || verdict.leaks)
		die("%s: %s", test.what, verdict.first);
	disk_free(&test.disk);
}

static void call(struct caller *caller)
{
	switch (caller->call) {
	case WRITE:
		caller->ret = qcow_write(test.image, test.bytes, caller->offset,
					 caller->length);
		break;
	case DISCARD:
		caller->ret = qcow_discard(test.image, caller->offset,
					   caller->length);
		break;
	case ZEROES:
		caller->ret = qcow_write_zeroes(test.image, caller->offset,
						caller->length, true);
		break;
	}
}

static void *run_caller(void *argument)
{
	struct caller *caller = argument;

	call(caller);
	caller->done = true;
	return NULL;
}

void start_caller(struct caller *caller)
{
	caller->done = false;
	if (pthread_create(&caller->thread, NULL, run_caller, caller))
		die("cannot start a thread");
}

void end_caller(struct caller *caller)
{
	pthread_join(caller->thread, NULL);
	if (caller->ret)
		die("%s: %s", test.what, strerror(-caller->ret));
}

void do_call(enum call kind, uint64_t offset, size_t length)
{
	struct caller caller = {
		.call = kind,
		.offset = offset,
		.length = length,
	};

	call(&caller);
	if (caller.ret)
		die("%s: %s", test.what, strerror(-caller.ret));
}

void must_not_be_done(const struct caller *caller)
{
	for (unsigned int i = 0; i < PATIENCE; i++) {
		if (caller->done)
			die("%s: it did not wait", test.what);
		usleep(1000);
	}
}
