// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Images that a check must leave alone.  Somebody else uses the image, or the
 * journal holds acknowledged writes that are not in the tables yet.  A file
 * that is not a qcow2 image cannot be checked.  Nor can an image whose entries
 * cannot mean the things that its header says.
 *
 * usage: check-refused
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "tests/lib/helpers.h"
#include "qcow/bits.h"
#include "qcow/format.h"
#include "qcow/qcow.h"

static void note_journal(void *opaque, const char *line)
{
	bool *told = opaque;

	*told |= strstr(line, "still in its journal") != NULL;
}

/* The image must be sound; with journal, a message must tell of its journal. */
static void found_sound(const char *path, bool journal)
{
	bool told = false;
	const struct qcow_check_options options = {
		.journal_dir = scratch(),
		.line = note_journal,
		.opaque = &told,
	};
	struct qcow_check result;
	struct qcow_error error;

	if (qcow_check(path, &options, &result, &error))
		die("%s: %s", path, error.text);
	if (result.corruptions || result.leaks || result.check_errors)
		die("%s: not sound", path);
	if (told != journal)
		die("%s: %s was told of its journal", path,
		    told ? "something" : "nothing");
}

static void refused(const char *path, enum qcow_repair repair,
		    const char *reason)
{
	const struct qcow_check_options options = {
		.repair = repair,
		.journal_dir = scratch(),
	};
	struct qcow_check result;
	struct qcow_error error = { "" };

	if (qcow_check(path, &options, &result, &error) != -EBUSY)
		die("an image with %s was not refused", reason);
	if (!strstr(error.text, reason))
		die("refused, but not for its %s: %s", reason, error.text);
}

static void test_in_use(const char *path)
{
	struct qcow_lock *lock;

	if (qcow_lock(path, NULL, false, true, &lock, NULL))
		die("cannot lock %s", path);
	refused(path, QCOW_REPAIR_NONE, "\"write\" lock");
	refused(path, QCOW_REPAIR_ALL, "lock");
	qcow_unlock(lock);
	if (qcow_lock(path, NULL, true, true, &lock, NULL))
		die("cannot lock %s", path);
	refused(path, QCOW_REPAIR_LEAKS, "lock");
	/* Readers do not disturb each other. */
	found_sound(path, false);
	qcow_unlock(lock);
}

/* A server dies with acknowledged writes in its journal. */
static void die_writing(const char *path)
{
	struct qcow_options options = {
		.journal_dir = scratch(),
		.cache = QCOW_CACHE_WRITEBACK,
		.inline_checkpoint = true,
	};
	struct qcow_image *image;
	pid_t child = fork();

	if (!child) {
		char bytes[QCOW_SECTOR] = "x";

		_exit(qcow_open(path, &options, &image, NULL) ||
		      qcow_write(image, bytes, 0, sizeof(bytes)));
	}
	if (child < 0 || waitpid(child, &(int){ 0 }, 0) != child)
		die("cannot fork");
}

static void test_journal(const char *path)
{
	die_writing(path);
	refused(path, QCOW_REPAIR_LEAKS, "journal");
	refused(path, QCOW_REPAIR_ALL, "journal");
	/* The tables are sound, but older than the journal. */
	found_sound(path, true);
}

static void test_untouchable(const char *options)
{
	char *path = scratch_path("untouchable");

	must_run("rm -f %s; qemu-img create -q -f qcow2 -o %s %s 1M", path,
		 options, path);
	test_in_use(path);
	test_journal(path);
	free(path);
}

static void test_other_formats(void)
{
	const struct qcow_check_options options = { .repair = 0 };
	char *path = scratch_path("other");
	struct qcow_check result;

	must_run("qemu-img create -q -f raw %s 1M", path);
	if (qcow_check(path, &options, &result, NULL) != -ENOTSUP)
		die("a raw image was checked");
	must_run("qemu-img create -q -f qcow %s 1M", path);
	if (qcow_check(path, &options, &result, NULL) != -ENOTSUP)
		die("an image of version 1 was checked");
	free(path);
}

/* A flipped bit turns all data of the guest into leaks. */
static void test_header(unsigned int field, uint64_t bits, const char *says)
{
	const struct qcow_check_options options = {
		.repair = QCOW_REPAIR_ALL,
	};
	char *path = scratch_path("header");
	struct qcow_error error = { "" };
	struct qcow_check result;
	size_t size, size_after;
	uint8_t *bytes, *after;

	must_run(
		"qemu-img create -q -f qcow2 %s 1M; qemu-io -c 'write -q 0 1M' %s",
		path, path);
	bytes = read_file(path, &size);
	store_be64(bytes + field, load_be64(bytes + field) | bits);
	write_file(path, bytes, size);
	if (qcow_check(path, &options, &result, &error) != -EINVAL ||
	    !strstr(error.text, says))
		die("not refused with \"%s\", but: %s", says, error.text);
	after = read_file(path, &size_after);
	if (size_after != size || memcmp(bytes, after, size))
		die("refused with \"%s\", but changed", says);
	free(bytes);
	free(after);
	free(path);
}

int main(void)
{
	test_untouchable("compat=1.1");
	test_untouchable("compat=0.10");
	test_other_formats();
	test_header(HEADER_INCOMPATIBLE, INCOMPATIBLE_DATA_FILE,
		    "does not name its external data file");
	test_header(HEADER_INCOMPATIBLE, INCOMPATIBLE_COMPRESSION,
		    "do not agree");
	test_header(HEADER_AUTOCLEAR, AUTOCLEAR_RAW_DATA,
		    "that its data file is raw");
	return 0;
}
