// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * `ublk-qcow2 check` beside qemu-img check, on images that are damaged in one
 * place each.  Both give the same exit status, the same corruptions and the
 * same leaks.  After a repair of everything by either, qemu-img check gives the
 * same status, too.
 *
 * Where our check differs, the row gives the reason.  It also says whether our
 * repair must end with an image that qemu-img calls sound.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include "tests/engine/check-alike.h"
#include "tests/lib/helpers.h"

struct result {
	int status;
	unsigned long corruptions, leaks;
};

static unsigned long number(const char *text, const char *key)
{
	const char *found = strstr(text, key);

	return found ? strtoul(found + strlen(key), NULL, 10) : 0;
}

static struct result result_of(const char *program, const char *arguments)
{
	struct result result;
	char *path = scratch_path("out"), *text;
	uint8_t *bytes;
	size_t size;

	result.status = run("cd %s; %s i %s >out 2>/dev/null", scratch(),
			    program, arguments);
	bytes = read_file(path, &size);
	text = strndup((char *)bytes, size);
	result.corruptions = number(text, "\"corruptions\": ");
	result.leaks = number(text, "\"leaks\": ");
	free(text);
	free(bytes);
	free(path);
	return result;
}

static struct result theirs(const char *arguments)
{
	return result_of("qemu-img check --output=json -f qcow2", arguments);
}

static struct result ours(const char *program, const char *arguments)
{
	char command[512];

	snprintf(command, sizeof(command), "%s check --json", program);
	return result_of(command, arguments);
}

static bool same(struct result a, struct result b)
{
	return a.status == b.status && a.corruptions == b.corruptions &&
	       a.leaks == b.leaks;
}

static void restore(const char *path)
{
	write_file(path, image.bytes, image.size);
}

static void test(const struct row *row, const char *program)
{
	char *path = scratch_path("i");
	struct result they, we, after_them, after_us;

	must_run("cd %s; %s", scratch(), row->make);
	image.bytes = read_file(path, &image.size);
	row->damage();
	restore(path);
	they = theirs("");
	we = ours(program, "");
	theirs("-r all");
	after_them = theirs("");
	restore(path);
	ours(program, "-r all");
	after_us = theirs("");
	if (!row->why && !same(we, they))
		die("%s: %d, %lu corruptions, %lu leaks; qemu-img: %d, %lu, %lu",
		    row->what, we.status, we.corruptions, we.leaks, they.status,
		    they.corruptions, they.leaks);
	/* We do not give back a leak that may be lost data. */
	if (!row->why && after_us.status != after_them.status)
		die("%s: after our repair qemu-img finds %d, %lu, %lu; after its own %d, %lu, %lu",
		    row->what, after_us.status, after_us.corruptions,
		    after_us.leaks, after_them.status, after_them.corruptions,
		    after_them.leaks);
	if (row->why && same(we, they) && after_us.status == after_them.status)
		die("%s: the same as qemu-img, though: %s", row->what,
		    row->why);
	if (row->why && row->sound && after_us.status)
		die("%s: after our repair qemu-img finds %lu corruptions, %lu leaks",
		    row->what, after_us.corruptions, after_us.leaks);
	free(image.bytes);
	free(path);
}

int main(void)
{
	char *program = realpath("../plugin/ublk-qcow2", NULL);
	unsigned int alike = 0;

	if (!program)
		die("the program is not built");
	for (unsigned int i = 0; i < nr_rows; i++) {
		test(&rows[i], program);
		alike += !rows[i].why;
	}
	printf("%u images, %u of them alike\n", nr_rows, alike);
	free(program);
	return 0;
}
