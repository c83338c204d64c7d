// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * One qemu-io makes all changes.  It repeats a pattern over each range that it
 * writes; so bytes differ from place to place, and compress.
 */
#include <stdio.h>
#include <stdlib.h>
#include "tests/lib/contents.h"
#include "tests/engine/scribble.h"
#include "qcow/bits.h"

#define SECTOR		512u
#define PATTERN		(96u << 10)
#define PACKED_COMMANDS 4
#define PLAIN_COMMANDS	6

/* Draws whole units, but for the disk's end. */
static void draw_range(struct random *random, uint64_t size, uint32_t unit,
		       uint64_t most, uint64_t *offset, uint64_t *length)
{
	struct window window;
	uint64_t units;

	window_draw(&window, random, size);
	units = (window.length + unit - 1) / unit;
	*offset = window.offset + random_below(random, units) * unit;
	*length = min_u64((uint64_t)unit * most, size - *offset);
}

static void add_packed(FILE *out, uint64_t offset, uint64_t length)
{
	/* An allocated cluster cannot be made a compressed one. */
	fprintf(out, " -c 'discard -q %lu %lu'", offset, length);
	fprintf(out, " -c 'write -q -c -s %s %lu %lu'", scribble_pattern(),
		offset, length);
}

/* Writes the disk's last cluster first. */
static void write_packed(const char *path, uint64_t size, uint32_t cluster,
			 unsigned int most, struct random *random)
{
	uint64_t offset = round_down(size - 1, cluster);
	uint64_t length = size - offset;
	char *commands;
	size_t n;
	FILE *out = open_memstream(&commands, &n);

	for (unsigned int c = 0; c < PACKED_COMMANDS && most; c++) {
		add_packed(out, offset, length);
		most -= (length + cluster - 1) / cluster;
		draw_range(random, size, cluster,
			   min_u64(1 + random_below(random, 3), most), &offset,
			   &length);
	}
	fclose(out);
	/* An overlay of version 2 cannot discard; such a cluster stays as it
	   is. */
	run("qemu-io -f qcow2 %s %s >/dev/null 2>&1", commands, path);
	free(commands);
}

void scribble(const char *path, uint64_t size, uint32_t cluster,
	      unsigned int packed, struct random *random)
{
	if (packed) {
		write_packed(path, size, cluster, packed, random);
		size = round_down(size - 1, cluster);
	}
	if (size)
		scribble_plain(path, "qcow2", size, random);
}

static void add_plain(FILE *out, uint64_t size, struct random *random)
{
	unsigned int kind = random_below(random, 8);
	uint64_t offset, length;

	draw_range(random, size, SECTOR, 1u << random_below(random, 11),
		   &offset, &length);
	if (kind == 0)
		fprintf(out, " -c 'discard -q %lu %lu'", offset, length);
	else if (kind <= 2)
		fprintf(out, " -c 'write -q -z %s %lu %lu'",
			kind == 2 ? "-u" : "", offset, length);
	else
		fprintf(out, " -c 'write -q -s %s %lu %lu'", scribble_pattern(),
			offset, length);
}

void scribble_plain(const char *path, const char *format, uint64_t size,
		    struct random *random)
{
	char *commands;
	size_t n;
	FILE *out = open_memstream(&commands, &n);

	for (unsigned int c = 0; c < PLAIN_COMMANDS; c++)
		add_plain(out, size, random);
	fclose(out);
	must_run("qemu-io -f %s %s %s", format, commands, path);
	free(commands);
}

const char *scribble_pattern(void)
{
	static uint8_t bytes[PATTERN];
	static char *path;
	struct random random = { .state = 42 };

	if (path)
		return path;
	path = scratch_path("pattern");
	for (unsigned int i = 0; i < PATTERN; i++)
		bytes[i] = i / 1024 % 4 == 3 ? random_next(&random) :
					       'a' + i / 64 % 23 + i % 2;
	write_file(path, bytes, PATTERN);
	return path;
}
