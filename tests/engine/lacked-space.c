// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A write of the engine's own, of a new table, lacks space that is there in
 * another place: in the room that was set aside.  A write, a discard and
 * zeroes have it given back and succeed, under whichever name the file system
 * tells of the lack.  When nothing is left to give back, they fail with such a
 * name, and later, with space, succeed.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "tests/lib/disk.h"
#include "tests/lib/helpers.h"
#include "tests/lib/judge.h"
#include "tests/lib/model.h"
#include "qcow/ahead.h"
#include "qcow/image.h"
#include "qcow/space.h"

#define PIECE 4096u	   /* a cluster */
#define THERE (4ull << 20) /* guest bytes; its table is missing */
#define AHEAD (128u << 10)
#define MOST  100u /* writes until there is room */

static struct {
	struct qcow_image *image;
	struct disk disk;
	int error;	    /* the file system's word for a lack */
	bool always;	    /* also without room set aside */
	unsigned int lacks; /* writes that failed so */
} test;

static uint8_t bytes[PIECE] __attribute__((aligned(4096)));

static int write_there(void)
{
	memset(bytes, 5, PIECE);
	return qcow_write(test.image, bytes, THERE, PIECE);
}

static int discard_there(void)
{
	return qcow_discard(test.image, THERE, PIECE);
}

static int zero_there(void)
{
	return qcow_write_zeroes(test.image, THERE, PIECE, true);
}

static const struct {
	const char *name;
	int (*run)(void);
	uint8_t byte; /* there afterwards */
} operations[] = {
	{ "write", write_there, 5 },
	{ "discard", discard_there, 0 },
	{ "zeroes", zero_there, 0 },
};

static int lack_space(struct disk *disk, uint64_t offset)
{
	(void)disk;
	(void)offset;
	if (!test.always && !ahead_has_room(test.image))
		return 0;
	test.lacks++;
	return test.error;
}

static void begin(void)
{
	struct qcow_options options = {
		.journal_dir = scratch(),
		.references = &model_references,
		.inline_checkpoint = true,
		.test = &test.disk.hooks,
	};
	struct qcow_error error = { "" };
	char *path = scratch_path("image");

	must_run(
		"cd %s && rm -f *.journal *.life && head -c 8M /dev/urandom >base && "
		"qemu-img create -q -f qcow2 -o cluster_size=4k -b base -F raw image 8M",
		scratch());
	disk_load(&test.disk, path);
	test.disk.hooks.ahead = AHEAD;
	if (qcow_open(path, &options, &test.image, &error))
		die("open: %s", error.text);
	free(path);
}

static void end(void)
{
	struct verdict verdict;

	if (qcow_close(test.image))
		die("close");
	judge(test.disk.bytes, test.disk.size, &verdict);
	if (verdict.corruptions || verdict.leaks)
		die("%s", verdict.first);
	disk_free(&test.disk);
}

static void expect(uint8_t byte, const char *name)
{
	if (qcow_read(test.image, bytes, THERE, PIECE))
		die("%s: a read fails", name);
	for (unsigned int i = 0; i < PIECE; i++)
		if (bytes[i] != byte)
			die("%s: byte %u is %#x", name, i, bytes[i]);
}

static void set_room_aside(void)
{
	memset(bytes, 1, PIECE);
	for (unsigned int n = 0; n < MOST && !ahead_has_room(test.image); n++)
		if (qcow_write(test.image, bytes, n * PIECE, PIECE))
			die("write %u", n);
	if (!ahead_has_room(test.image))
		die("no room is set aside");
}

static void test_operation(unsigned int i, int error, bool always)
{
	const char *name = operations[i].name;
	int ret;

	begin();
	set_room_aside();
	test.lacks = 0;
	test.error = error;
	test.always = always;
	test.disk.on_write = lack_space;
	ret = operations[i].run();
	if (!test.lacks)
		die("%s needs no space", name);
	if (always ? !space_is_lacked(ret) : ret)
		die("%s, %s: ends with %d", name, strerror(-error), ret);
	test.disk.on_write = NULL;
	if (always && operations[i].run())
		die("%s: fails with space", name);
	expect(operations[i].byte, name);
	end();
}

int main(void)
{
	static const int errors[] = { -ENOSPC, -EDQUOT, -EFBIG };

	for (unsigned int i = 0; i < ARRAY_SIZE(operations); i++)
		for (unsigned int e = 0; e < ARRAY_SIZE(errors); e++) {
			test_operation(i, errors[e], false);
			test_operation(i, errors[e], true);
		}
	return 0;
}
