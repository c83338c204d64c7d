// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The admin's rules about the files that an image may name: a file of rules
 * that cannot be read to its end is no shorter list of rules.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plugin/common/references.h"
#include "tests/lib/helpers.h"

static const struct disk_options options = DISK_OPTIONS_DEFAULT;
static bool breaks; /* the storage of the file, after its first line */

static ssize_t read_half(void *reads, char *bytes, size_t size)
{
	static const char first[] = "/srv\n";

	(void)size;
	if ((*(unsigned int *)reads)++) {
		errno = EIO;
		return -1;
	}
	memcpy(bytes, first, strlen(first));
	return strlen(first);
}

FILE *__real_fopen(const char *path, const char *mode);
FILE *__wrap_fopen(const char *path, const char *mode);
FILE *__wrap_fopen(const char *path, const char *mode)
{
	const cookie_io_functions_t half = { .read = read_half };
	static unsigned int reads;

	reads = 0;
	return breaks ? fopencookie(&reads, "r", half) :
			__real_fopen(path, mode);
}

static void expect(int expected, const char *when)
{
	struct qcow_references references;
	struct qcow_error error = { "" };
	int ret = references_read(&options, &references, &error);

	if (ret != expected)
		die("%s: %d and not %d", when, ret, expected);
	if (ret && !*error.text)
		die("%s: nobody is told why", when);
	if (!ret && !references.not_beside)
		die("%s: a rule is lost", when);
	references_free(&references);
}

int main(void)
{
	static const char text[] = "/srv\nown-directory no\n";
	char *path = scratch_path("directories");

	setenv("UBLK_QCOW2_DIRECTORIES", path, 1);
	write_file(path, text, strlen(text));
	expect(0, "two rules");
	breaks = true;
	expect(-EIO, "half of a file");
	breaks = false;
	must_run("rm %s && mkdir %s", path, path);
	expect(-EISDIR, "a directory");
	free(path);
	return 0;
}
