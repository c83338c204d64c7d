// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A tag's way from its small buffer to the large one and back, as its I/O
 * thread goes it: bytes go with the tag, and a buffer that the driver may still
 * read keeps its bytes.
 */
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "plugin/server/buffers.h"
#include "tests/lib/helpers.h"

#define SIZE  (512u << 10)
#define PAGE  4096u
#define TAGS  128
#define ROW   4	    /* tags in a huge page */
#define ROWS  8	    /* that may be in use */
#define TRIES 10000 /* ms */

static struct buffers buffers;
static struct workers *workers;
static char *now[TAGS];

static bool holds(const char *bytes, size_t length, char byte)
{
	return bytes[0] == byte && !memcmp(bytes, bytes + 1, length - 1);
}

static bool is_large(unsigned int tag)
{
	return now[tag] != buffers_small(&buffers, tag);
}

/* A READ of the largest size; its bytes are those. */
static void read_large(unsigned int tag, char byte)
{
	memset(now[tag], byte, SIZE);
	now[tag] = buffers_next(&buffers, tag, now[tag], SIZE, true);
	if (!holds(now[tag], SIZE, byte))
		die("a READ lost its bytes");
}

static void read_small(unsigned int tag, char byte)
{
	memset(now[tag], byte, PAGE);
	now[tag] = buffers_next(&buffers, tag, now[tag], PAGE, false);
	if (!holds(now[tag], PAGE, byte))
		die("a small READ lost its bytes");
}

/* A worker makes the row ready meanwhile. */
static void grow(unsigned int tag, char byte)
{
	const struct timespec ms = { .tv_nsec = 1000000 };
	unsigned int i;

	for (i = 0; i < TRIES && !is_large(tag); i++) {
		read_large(tag, byte);
		nanosleep(&ms, NULL);
	}
	if (!is_large(tag))
		die("tag %u has no large buffer", tag);
}

static void shrink(unsigned int tag, char byte)
{
	unsigned int i;

	for (i = 0; i < 100 && is_large(tag); i++)
		read_small(tag, byte);
	if (is_large(tag))
		die("tag %u keeps its large buffer", tag);
}

static void test_small(void)
{
	unsigned int i;

	for (i = 0; i < 1000; i++) {
		read_small(0, 's');
		if (!(i % 16))
			read_large(0, 'x');
		if (is_large(0))
			die("a large request here and there is no run");
	}
}

static void test_way(void)
{
	const char *small = now[0], *large;

	grow(0, 'a');
	if (!holds(small, SIZE, 'a'))
		die("the driver may still read there");
	read_large(0, 'b');
	if (!holds(small, PAGE, 'a') || !holds(small + PAGE, SIZE - PAGE, '\0'))
		die("the small buffer is not given back but for its first page");
	grow(1, 'c');
	if (now[1] != now[0] + SIZE)
		die("the tags do not share a huge page");
	if ((uintptr_t)now[0] % (ROW * SIZE))
		die("that is no huge page's place");

	large = now[0];
	shrink(0, 'd');
	read_small(0, 'd');
	if (!holds(now[1], SIZE, 'c') || !holds(large, PAGE, 'd'))
		die("another tag's bytes were given back");
	large = now[1];
	read_large(1, 'e');
	shrink(1, 'f');
	if (!holds(large, PAGE, 'f'))
		die("the driver may still read from the large buffer");
	read_small(1, 'f');
	if (!holds(large, SIZE, '\0'))
		die("the huge page is not given back");
}

static unsigned int count_large(void)
{
	unsigned int tag, count = 0;

	for (tag = 0; tag < TAGS; tag++)
		count += is_large(tag);
	return count;
}

/* Those of a disk that was busy stay, so there are few. */
static void test_rows(void)
{
	unsigned int tag, i;

	for (tag = 0; tag < ROWS * ROW; tag++)
		grow(tag, 'g');
	for (i = 0; i < 50; i++)
		for (tag = ROWS * ROW; tag < TAGS; tag++)
			read_large(tag, 'h');
	if (count_large() != ROWS * ROW)
		die("%u tags have huge pages", count_large());
	/* One row is free again, for any tag. */
	for (tag = 0; tag < ROW; tag++) {
		shrink(tag, 'i');
		read_small(tag, 'i');
	}
	grow(TAGS - 1, 'j');
}

int main(void)
{
	unsigned int tag;

	/* As the server's memory is. */
	if (mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT))
		puts("cannot lock memory");
	if (buffers_create(&buffers, TAGS, SIZE) || workers_create(2, &workers))
		die("no memory");
	buffers_use_huge_pages(&buffers, workers);
	for (tag = 0; tag < TAGS; tag++)
		now[tag] = buffers_small(&buffers, tag);
	test_small();
	test_way();
	test_rows();
	workers_destroy(workers);
	buffers_destroy(&buffers);
	return 0;
}
