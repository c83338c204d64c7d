// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Room for our mark (R12).  qemu-img puts the name of the backing file right
 * behind the header.  Before the first mark the name moves away, and:
 *
 *	the header is whole at every instant: each subset of the sectors that
 *		no sync covers may be lost with the power (P3)
 *	the name is the same, to us and to qemu-img, during a life and after it
 *	it moves once, and not before there is a write
 *	it stays where there is no other place, or where no end mark keeps it
 *		from being taken for an extension
 *
 * Bytes that another program left behind the end mark are wiped in the same
 * way.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "tests/lib/disk.h"
#include "tests/lib/helpers.h"
#include "tests/lib/model.h"
#include "tests/lib/qemu-check.h"
#include "qcow/header.h"

#define SECTOR	    512u
#define CLUSTER	    65536u
#define MAX_CHANGES 12u /* sectors of the header that one sync covers */

static struct room_test {
	struct disk disk;
	struct qcow_image *image;
	const char *what;
	char name[MAX_BACKING_NAME + 1]; /* of the backing file; "": none */
	unsigned long states;
} test;

static uint64_t name_offset(const struct disk *disk)
{
	return load_be64(disk->bytes + HEADER_BACKING_OFFSET);
}

/* ---- the judge, with a reader of its own ---- */

static bool is_known(uint32_t type)
{
	return type == EXTENSION_BACKING_FORMAT ||
	       type == EXTENSION_FEATURE_NAMES || type == EXTENSION_LIFE;
}

static uint32_t limit_of(const struct disk *disk)
{
	return name_offset(disk) ?
		       name_offset(disk) :
		       1u << load_be32(disk->bytes + HEADER_CLUSTER_BITS);
}

/* Where the first extension of a type is, or the end mark, or the limit. */
static uint32_t find_extension(const struct disk *disk, uint32_t wanted,
			       const char *when)
{
	uint32_t limit = limit_of(disk);
	uint32_t at = load_be32(disk->bytes + HEADER_LENGTH);

	while (at + EXTENSION_HEAD <= limit) {
		uint32_t type = load_be32(disk->bytes + at);

		if (type == EXTENSION_END || type == wanted)
			return at;
		if (!is_known(type))
			die("%s: %s: an extension of type %#x at %u", test.what,
			    when, type, at);
		at += EXTENSION_HEAD +
		      round_up(load_be32(disk->bytes + at + 4), 8);
		if (at > limit)
			die("%s: %s: an overlong extension", test.what, when);
	}
	return limit;
}

static bool has_mark(const struct disk *disk)
{
	uint32_t at = find_extension(disk, EXTENSION_LIFE, "the mark");

	return load_be32(disk->bytes + at) == EXTENSION_LIFE;
}

static void judge_header(const struct disk *disk, const char *when)
{
	size_t size = strlen(test.name);

	find_extension(disk, EXTENSION_END, when);
	if (load_be32(disk->bytes + HEADER_BACKING_SIZE) != size ||
	    memcmp(disk->bytes + name_offset(disk), test.name, size))
		die("%s: %s: the name is '%.*s'", test.what, when, (int)size,
		    disk->bytes + name_offset(disk));
	test.states++;
}

/* The other program reads the same, and finds no fault. */
static void judge_by_qemu(const struct disk *disk)
{
	char *path = scratch_path("state");

	disk_save(disk, path);
	if (*test.name)
		must_run(
			"qemu-img info -U --output=json %s | grep -qF '\"backing-filename\": \"%s\"'",
			path, test.name);
	check_disk(disk, true, test.what);
	free(path);
}

/* ---- losses of power ---- */

/* The sectors of the header that changed since the last sync, in order. */
struct changes {
	struct step parts[MAX_CHANGES];
	unsigned int count;
};

static void note_changes(struct changes *changes, const struct disk *synced,
			 const struct step *step)
{
	if (step->kind != STEP_WRITE)
		return;
	for (uint64_t at = 0; at < step->length; at += SECTOR) {
		uint64_t offset = step->offset + at;

		if (offset >= limit_of(synced) + SECTOR + MAX_BACKING_NAME ||
		    !memcmp(synced->bytes + offset, step->bytes + at, SECTOR))
			continue;
		if (changes->count == MAX_CHANGES)
			die("%s: too many changes at once", test.what);
		changes->parts[changes->count++] = (struct step){
			.kind = STEP_WRITE,
			.offset = offset,
			.length = SECTOR,
			.bytes = step->bytes + at,
		};
	}
}

/* Every subset of them. */
static void lose_power(const struct disk *synced, const struct changes *changes)
{
	for (unsigned int kept = 0; kept < 1u << changes->count; kept++) {
		struct disk disk;

		disk_copy(&disk, synced);
		for (unsigned int i = 0; i < changes->count; i++)
			if (kept & 1u << i)
				disk_apply(&disk, &changes->parts[i]);
		judge_header(&disk, "a loss of power");
		disk_free(&disk);
	}
}

static void judge_record(const struct disk *base)
{
	struct changes changes = { .count = 0 };
	struct disk now, synced;

	disk_copy(&now, base);
	disk_copy(&synced, base);
	for (unsigned int n = 0; n < test.disk.nr_steps; n++) {
		const struct step *step = &test.disk.steps[n];

		note_changes(&changes, &synced, step);
		disk_apply(&now, step);
		judge_header(&now, "a death");
		if (step->kind != STEP_SYNC)
			continue;
		lose_power(&synced, &changes);
		judge_by_qemu(&now);
		disk_free(&synced);
		disk_copy(&synced, &now);
		changes.count = 0;
	}
	disk_free(&now);
	disk_free(&synced);
}

/* ---- a life ---- */

static void open_it(void)
{
	char *path = scratch_path("image");
	const struct qcow_options options = {
		.cache = QCOW_CACHE_WRITEBACK,
		.journal_dir = scratch(),
		.references = &model_references,
		.inline_checkpoint = true,
		.test = &test.disk.hooks,
	};
	struct qcow_error error = { "" };

	if (qcow_open(path, &options, &test.image, &error))
		die("%s: open: %s", test.what, error.text);
	free(path);
}

static void write_and_flush(void)
{
	static uint8_t bytes[CLUSTER] __attribute__((aligned(4096)));

	if (qcow_write(test.image, bytes, 0, sizeof(bytes)) ||
	    qcow_flush(test.image))
		die("%s: a write failed", test.what);
}

static void close_it(void)
{
	if (qcow_close(test.image))
		die("%s: the close failed", test.what);
}

/* A disk can be recorded once. */
static void forget_record(void)
{
	struct disk copy;

	disk_copy(&copy, &test.disk);
	disk_free(&test.disk);
	disk_copy(&test.disk, &copy);
	disk_free(&copy);
}

/* A life with a write and a flush, from its open to its end, and a judgement on
   each of its instants. */
static void live_once(bool marked)
{
	struct disk base;

	disk_copy(&base, &test.disk);
	open_it();
	disk_record(&test.disk, NULL);
	write_and_flush();
	if (has_mark(&test.disk) != marked)
		die("%s: %s", test.what,
		    marked ? "there is no mark" : "there is a mark");
	close_it();
	if (has_mark(&test.disk))
		die("%s: the mark stays", test.what);
	judge_record(&base);
	disk_free(&base);
	forget_record();
}

static void look_only(void)
{
	struct disk base;

	disk_copy(&base, &test.disk);
	open_it();
	close_it();
	if (memcmp(base.bytes, test.disk.bytes, base.size))
		die("%s: an open without a write changes it", test.what);
	disk_free(&base);
}

/* ---- images ---- */

static void make(const char *what, const char *options)
{
	char *path = scratch_path("image");

	test.what = what;
	if (*test.name)
		must_run(
			"cd %s && truncate -s 1M %s && qemu-img create -q -f qcow2 -o %s -b %s -F raw image",
			scratch(), test.name, options, test.name);
	else
		must_run("qemu-img create -q -f qcow2 -o %s %s 1M", options,
			 path);
	disk_load(&test.disk, path);
	free(path);
}

/* A name of so many bytes: a directory or two, and a file. */
static void choose_name(unsigned int length)
{
	memset(test.name, 'n', length);
	test.name[length] = '\0';
	for (unsigned int at = 200; at + 1 < length; at += 200)
		test.name[at] = '/';
	must_run("cd %s && mkdir -p $(dirname %s)", scratch(), test.name);
}

static void test_moved(const char *options, unsigned int length)
{
	uint64_t before, after;

	choose_name(length);
	make(options, options);
	before = name_offset(&test.disk);
	look_only();
	live_once(true);
	after = name_offset(&test.disk);
	if (after < before + length)
		die("%s: the name stands at %lu and then at %lu", test.what,
		    before, after);
	look_only();
	live_once(true);
	if (name_offset(&test.disk) != after)
		die("%s: the name moves again", test.what);
	disk_free(&test.disk);
}

static void stays(void)
{
	uint64_t before = name_offset(&test.disk);

	live_once(false);
	if (name_offset(&test.disk) != before)
		die("%s: the name moves", test.what);
	disk_free(&test.disk);
}

static void test_no_place(void)
{
	choose_name(8);
	make("no place in the cluster", "cluster_size=512");
	stays();
}

/* Without an end mark the extensions go up to the name. */
static void test_no_end(void)
{
	uint64_t at;

	choose_name(40);
	make("no end mark", "cluster_size=4096");
	at = name_offset(&test.disk);
	memmove(test.disk.bytes + at - EXTENSION_HEAD, test.disk.bytes + at,
		strlen(test.name));
	store_be64(test.disk.bytes + HEADER_BACKING_OFFSET,
		   at - EXTENSION_HEAD);
	stays();
}

/* A header whose end mark is at that offset, as programs with other names of
   features write it. */
static void move_end(uint32_t end)
{
	uint8_t *bytes = test.disk.bytes;
	uint64_t old = name_offset(&test.disk);
	uint32_t at = find_extension(&test.disk, EXTENSION_FEATURE_NAMES, "");

	memmove(bytes + end + EXTENSION_HEAD, bytes + old, strlen(test.name));
	memset(bytes + at, 0, end + EXTENSION_HEAD - at);
	store_be32(bytes + at, EXTENSION_FEATURE_NAMES);
	store_be32(bytes + at + 4, end - at - EXTENSION_HEAD);
	if (old)
		store_be64(bytes + HEADER_BACKING_OFFSET, end + EXTENSION_HEAD);
}

/* Sectors cut the mark, and the name, everywhere. */
static void test_cuts(void)
{
	choose_name(300);
	for (uint32_t end = SECTOR - 64; end <= SECTOR + 8; end += 8) {
		make("another end mark", "cluster_size=4096");
		move_end(end);
		live_once(true);
		disk_free(&test.disk);
	}
}

static void test_left(void)
{
	const uint32_t end = SECTOR - EXTENSION_HEAD - LIFE_SIZE;

	*test.name = '\0';
	make("bytes behind the end mark", "cluster_size=4096");
	move_end(end);
	memset(test.disk.bytes + end + EXTENSION_HEAD, 'x', 200);
	look_only();
	live_once(true);
	disk_free(&test.disk);
}

int main(void)
{
	static const char *const options[] = {
		"cluster_size=4096",
		"cluster_size=65536",
		"cluster_size=16384,extended_l2=on",
	};
	static const unsigned int lengths[] = { 1, 40, 300, 1000 };

	for (unsigned int o = 0; o < ARRAY_SIZE(options); o++)
		for (unsigned int l = 0; l < ARRAY_SIZE(lengths); l++)
			test_moved(options[o], lengths[l]);
	test_no_place();
	test_no_end();
	test_cuts();
	test_left();
	printf("%lu states of a header\n", test.states);
	return 0;
}
