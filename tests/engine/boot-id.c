// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Sometimes the boot id cannot be read, because memory or descriptors are
 * lacking: a few times, or always.  Then nobody knows the boot that a journal
 * belongs to.  No part of the journal may be given up, and no message may say
 * that the journal does not fit.
 *
 * A journal of another boot is of no use (R12): the page cache of that boot is
 * gone.
 *
 * usage: boot-id
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "tests/lib/helpers.h"
#include "qcow/qcow.h"

#define MAX_FAILURES 6

static unsigned int failures;  /* still to come */
static const char *other_boot; /* a file with its id; NULL: this boot */

int __real_open(const char *path, int flags, ...);
int __real_open64(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...);
int __wrap_open64(const char *path, int flags, ...);

static bool fails(const char *path)
{
	if (!failures || !strstr(path, "boot_id"))
		return false;
	failures--;
	errno = ENFILE;
	return true;
}

static const char *whose(const char *path)
{
	return other_boot && strstr(path, "/boot_id") ? other_boot : path;
}

static mode_t mode_of(int flags, va_list args)
{
	return flags & (O_CREAT | __O_TMPFILE) ? va_arg(args, mode_t) : 0;
}

int __wrap_open(const char *path, int flags, ...)
{
	va_list args;
	mode_t mode;

	va_start(args, flags);
	mode = mode_of(flags, args);
	va_end(args);
	return fails(path) ? -1 : __real_open(whose(path), flags, mode);
}

int __wrap_open64(const char *path, int flags, ...)
{
	va_list args;
	mode_t mode;

	va_start(args, flags);
	mode = mode_of(flags, args);
	va_end(args);
	return fails(path) ? -1 : __real_open64(whose(path), flags, mode);
}

static int open_image(const char *path, struct qcow_image **image,
		      struct qcow_error *error)
{
	const struct qcow_options options = {
		.journal_dir = scratch(),
		.cache = QCOW_CACHE_WRITEBACK,
		.inline_checkpoint = true,
	};

	return qcow_open(path, &options, image, error);
}

static void die_writing(const char *path, uint8_t *bytes)
{
	pid_t child = fork();
	int status;

	if (!child) {
		struct qcow_image *image;

		_exit(open_image(path, &image, NULL) ||
		      qcow_write(image, bytes, 0, QCOW_SECTOR));
	}
	if (child < 0 || waitpid(child, &status, 0) != child || status)
		die("cannot write");
}

/* The image may open or not.  The boot id is the only reason for a refusal. */
static void try_open(const char *path)
{
	struct qcow_error error = { "" };
	struct qcow_image *image;

	if (!open_image(path, &image, &error)) {
		if (qcow_close(image))
			die("close");
	} else if (!strstr(error.text, "boot id")) {
		die("%u failures left: %s", failures, error.text);
	}
}

static void try_repair(const char *path)
{
	const struct qcow_check_options options = {
		.repair = QCOW_REPAIR_ALL,
		.journal_dir = scratch(),
	};
	struct qcow_error error = { "" };
	struct qcow_check result;

	if (qcow_check(path, &options, &result, &error) != -EBUSY)
		die("repaired beside its journal");
}

static void expect(const char *path, const uint8_t *bytes)
{
	struct qcow_error error = { "" };
	struct qcow_image *image;
	uint8_t read[QCOW_SECTOR];

	if (open_image(path, &image, &error))
		die("%s", error.text);
	if (qcow_read(image, read, 0, sizeof(read)) ||
	    memcmp(read, bytes, sizeof(read)))
		die("an acknowledged write is lost");
	if (qcow_close(image))
		die("close");
}

static void test(const char *path, unsigned int count)
{
	uint8_t bytes[QCOW_SECTOR];

	memset(bytes, count + 1, sizeof(bytes));
	die_writing(path, bytes);
	failures = count;
	try_repair(path);
	failures = count;
	try_open(path);
	failures = 0;
	expect(path, bytes);
}

/* A write was acknowledged in one boot and never flushed.  It is not there in
   the next boot. */
static void test_other_boot(const char *path)
{
	static const char id[] = "01234567-89ab-cdef-0123-456789abcdef\n";
	const uint8_t zeroes[QCOW_SECTOR] = { 0 };
	char *file = scratch_path("other-boot");
	uint8_t bytes[QCOW_SECTOR];

	must_run("qemu-img create -q -f qcow2 %s 1M", path);
	memset(bytes, 1, sizeof(bytes));
	die_writing(path, bytes);
	write_file(file, id, strlen(id));
	other_boot = file;
	expect(path, zeroes);
	other_boot = NULL;
	free(file);
}

int main(void)
{
	char *path = scratch_path("image");

	must_run("qemu-img create -q -f qcow2 %s 1M", path);
	for (unsigned int count = 0; count <= MAX_FAILURES; count++)
		test(path, count);
	must_run("qemu-img check -q %s", path);
	test_other_boot(path);
	must_run("qemu-img check -q %s", path);
	free(path);
	return 0;
}
