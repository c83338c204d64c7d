// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Never two writers (P4).  An image that we have open is refused to QEMU.  An
 * image that QEMU has open is refused to us, and so are the files below it.
 * Readers share an image.  The engine waits for a dead server that has I/O in
 * flight (R14).
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "tests/lib/helpers.h"
#include "tests/lib/model.h"
#include "qcow/bits.h"
#include "qcow/lock.h"
#include "qcow/qcow.h"

#define FENCE_BYTE 400
#define TIME_LIMIT 60	/* seconds; a test that hangs is killed */
#define PATIENCE   100u /* milliseconds for an event that must not come */

static char *image, *under;

static int open_it(bool read_only, struct qcow_image **opened)
{
	struct qcow_options options = {
		.journal_dir = scratch(),
		.read_only = read_only,
		.references = &model_references,
		.inline_checkpoint = true,
	};
	struct qcow_error error = { "" };

	return qcow_open(image, &options, opened, &error);
}

static void must_open(bool read_only, struct qcow_image **opened)
{
	int ret = open_it(read_only, opened);

	if (ret)
		die("open, %s: %s", read_only ? "to read" : "to write",
		    strerror(-ret));
}

/* Can qemu-io open the image? */
static bool qemu_gets(const char *path, bool read_only)
{
	return !run("qemu-io %s -c 'read -q 0 512' %s >/dev/null 2>&1",
		    read_only ? "-r" : "", path);
}

static void qemu_must(bool get, const char *path, bool read_only,
		      const char *when)
{
	if (qemu_gets(path, read_only) != get)
		die("%s: QEMU %s %s, to %s", when,
		    get ? "does not get" : "gets", path,
		    read_only ? "read" : "write");
}

/* QEMU has the image open until its input ends; returns that input. */
static FILE *begin_qemu(bool read_only)
{
	char *command = NULL, *ready = scratch_path("ready");
	FILE *input;

	unlink(ready);
	if (asprintf(&command, "qemu-io %s %s >%s 2>&1", read_only ? "-r" : "",
		     image, ready) < 0)
		die("out of memory");
	input = popen(command, "w");
	fputs("read 0 512\n", input);
	fflush(input);
	while (run("grep -q 'read 512' %s 2>/dev/null", ready))
		usleep(10000);
	free(command);
	free(ready);
	return input;
}

static void must_be_refused(bool read_only, const char *when)
{
	struct qcow_image *opened;
	int ret = open_it(read_only, &opened);

	if (ret != -EBUSY)
		die("%s: we get it to %s (%d)", when,
		    read_only ? "read" : "write", ret);
}

static void test_ours(void)
{
	struct qcow_image *opened, *other;

	must_open(false, &opened);
	qemu_must(false, image, false, "we write");
	qemu_must(false, image, true, "we write");
	qemu_must(false, under, false, "we write");
	qemu_must(true, under, true, "we write");
	must_be_refused(true, "we write");
	qcow_close(opened);
	must_open(true, &opened);
	qemu_must(false, image, false, "we read");
	qemu_must(true, image, true, "we read");
	qemu_must(false, under, false, "we read");
	must_be_refused(false, "we read");
	must_open(true, &other);
	qcow_close(other);
	qcow_close(opened);
	qemu_must(true, image, false, "we have closed");
	qemu_must(true, under, false, "we have closed");
}

static void test_theirs(void)
{
	struct qcow_image *opened;
	FILE *qemu = begin_qemu(false);

	must_be_refused(false, "QEMU writes");
	must_be_refused(true, "QEMU writes");
	pclose(qemu);
	qemu = begin_qemu(true);
	must_be_refused(false, "QEMU reads");
	must_open(true, &opened);
	qcow_close(opened);
	pclose(qemu);
	must_open(false, &opened);
	qcow_close(opened);
}

/* ---- the fence ---- */

static atomic_bool is_open;

static void *open_slowly(void *unused)
{
	struct qcow_image *opened;

	(void)unused;
	must_open(false, &opened);
	is_open = true;
	qcow_close(opened);
	return NULL;
}

/* The open file description that a dead server's I/O still holds. */
static void test_fence(void)
{
	struct flock lock = {
		.l_type = F_WRLCK,
		.l_whence = SEEK_SET,
		.l_start = FENCE_BYTE,
		.l_len = 1,
	};
	int fd = open(image, O_RDWR | O_CLOEXEC);
	pthread_t thread;

	if (fd < 0 || fcntl(fd, F_OFD_SETLK, &lock) < 0)
		die("cannot lock %s", image);
	if (pthread_create(&thread, NULL, open_slowly, NULL))
		die("cannot start a thread");
	for (unsigned int i = 0; i < PATIENCE; i++) {
		if (is_open)
			die("it is opened beside I/O in flight (R14)");
		usleep(1000);
	}
	close(fd);
	pthread_join(thread, NULL);
}

/* A supervisor holds the locks of a merge over an image between: that of a
   writer on the layer, of a reader on the other one. */
static void test_merge(void)
{
	static const char *const names[] = { "low", "mid", "high" };
	struct qcow_lock *locks[ARRAY_SIZE(names)];
	struct qcow_layer layers[2];
	struct qcow_options options = {
		.journal_dir = scratch(),
		.locking = QCOW_LOCK_JOIN,
		.layers = layers,
		.nr_layers = 2,
		.merge_into = 2,
		.inline_checkpoint = true,
	};
	struct qcow_error error = { "" };
	struct qcow_image *opened;
	char *paths[ARRAY_SIZE(names)];

	must_run("cd %s && qemu-img create -q -f qcow2 low 1M && "
		 "qemu-img create -q -f qcow2 -F qcow2 -b low mid && "
		 "qemu-img create -q -f qcow2 -F qcow2 -b mid high",
		 scratch());
	for (unsigned int i = 0; i < ARRAY_SIZE(names); i++) {
		paths[i] = scratch_path(names[i]);
		if (qcow_lock(paths[i], NULL, i == 1, true, &locks[i], &error))
			die("%s: %s", paths[i], error.text);
	}
	for (unsigned int i = 0; i < 2; i++) {
		layers[i] = (struct qcow_layer){
			.path = paths[1 - i],
			.written = i == 1,
		};
		qcow_lock_identify(locks[1 - i], &layers[i].identity);
	}
	if (qcow_open(paths[2], &options, &opened, &error))
		die("beside the supervisor's locks: %s", error.text);
	model_close(opened);
	options.locking = QCOW_LOCK_TEST;
	if (!qcow_open(paths[2], &options, &opened, &error))
		die("a stranger gets what the supervisor has");
	for (unsigned int i = 0; i < ARRAY_SIZE(names); i++) {
		qcow_unlock(locks[i]);
		free(paths[i]);
	}
}

int main(void)
{
	alarm(TIME_LIMIT);
	image = scratch_path("image");
	under = scratch_path("under");
	must_run("qemu-img create -q -f qcow2 %s 1M", under);
	must_run("qemu-img create -q -f qcow2 -b %s -F qcow2 %s", under, image);
	test_ours();
	test_theirs();
	test_merge();
	test_fence();
	return 0;
}
