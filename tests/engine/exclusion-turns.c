// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Turns, and writes of less than a unit: a second caller starts from inside the
 * I/O of the first, and must not be done before that I/O ends.
 */
#include <string.h>
#include "tests/engine/exclusion.h"
#include "tests/lib/helpers.h"
#include "qcow/bits.h"
#include "qcow/image.h"

#define UNIT 4096

/* The second caller is started once, from inside the I/O of the first. */
static struct caller second;
static bool is_armed;

static void arm(enum call kind, uint64_t offset, size_t length)
{
	second.call = kind;
	second.offset = offset;
	second.length = length;
	is_armed = true;
}

static void come_second(void)
{
	if (!is_armed)
		return;
	is_armed = false;
	start_caller(&second);
	must_not_be_done(&second);
}

static void end_second(void)
{
	if (is_armed)
		die("%s: the I/O to disturb was not made", test.what);
	end_caller(&second);
	test.disk.on_write = NULL;
	test.disk.on_read = NULL;
	end();
}

static int io_disturbed(struct disk *disk, uint64_t offset)
{
	(void)disk;
	(void)offset;
	come_second();
	return 0;
}

static int growth_disturbed(struct disk *disk, uint64_t offset)
{
	bool grows;

	(void)disk;
	(void)offset;
	{
		LOCKED(test.image);
		grows = test.image->allocator.grow_turn.taken;
	}
	if (grows)
		come_second();
	return 0;
}

static void test_two_marks(void)
{
	start_usual("two first writes");
	arm(WRITE, 8 * CLUSTER, CLUSTER);
	test.disk.on_write = io_disturbed;
	do_call(WRITE, 0, CLUSTER);
	end_second();
}

static void test_two_tables(void)
{
	const uint64_t behind = 128ull * SMALL;

	start("two that need one table",
	      "qemu-img create -q -f qcow2 -o cluster_size=512 image 1M");
	do_call(WRITE, 0, SMALL);
	arm(WRITE, behind + SMALL, SMALL);
	test.disk.on_write = io_disturbed;
	do_call(WRITE, behind, SMALL);
	end_second();
}

static void test_two_growths(void)
{
	start("two that need growth (R10)",
	      "qemu-img create -q -f qcow2 -o cluster_size=512,refcount_bits=64 image 1M");
	do_call(WRITE, 0, SMALL);
	arm(WRITE, 768u << 10, 16 * SMALL);
	test.disk.on_write = growth_disturbed;
	for (unsigned int i = 1; is_armed && i < 1024; i++)
		do_call(WRITE, i * SMALL, SMALL);
	end_second();
}

/* The second caller writes other bytes of the unit that the first one
   changes, in part or all of it. */
static void test_unaligned(const char *what, uint64_t offset, size_t length)
{
	uint8_t read[UNIT] __attribute__((aligned(UNIT)));
	const size_t written = min_u64(offset + length, UNIT);

	start_usual(what);
	test.image->alignment = UNIT;
	memset(test.bytes, 1, CLUSTER);
	do_call(WRITE, 0, CLUSTER);
	memset(test.bytes, 2, CLUSTER);
	arm(WRITE, offset, length);
	test.disk.on_read = io_disturbed;
	do_call(WRITE, 0, 512);
	pthread_join(second.thread, NULL);
	if (qcow_read(test.image, read, 0, sizeof(read)) ||
	    memcmp(read, test.bytes, written) ||
	    (written < UNIT && read[written] != 1))
		die("%s: one of them is lost", test.what);
	start_caller(&second);
	end_second();
}

void test_turns(void)
{
	test_two_marks();
	test_two_tables();
	test_two_growths();
	test_unaligned("two that write less than a unit", 512, 512);
	test_unaligned("two whose units are several", 512, 2 * UNIT);
	test_unaligned("one writes less than a unit, one all of it", 0, UNIT);
	test_unaligned("one writes less than a unit, one more", 0, CLUSTER);
}
