// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The check of images that nobody would make.  The test takes sound images and
 * changes their tables at random: a bit, a byte, or an entry, which then leads
 * somewhere else.
 *
 * Nothing may crash (run this with sanitizers), or take long or much memory.  A
 * repair may not leave more corruption than it found.  If a repair calls the
 * image sound, qemu-img check is asked, too, now and then.
 *
 * usage: check-mutants [SEED]
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>
#include "tests/lib/helpers.h"
#include "qcow/bits.h"
#include "qcow/format.h"
#include "qcow/qcow.h"

#define MUTANTS	     150 /* of each image */
#define PATIENCE     120 /* seconds, with sanitizers and others' load */
#define MAX_RESIDENT (400u << 10) /* KiB, sanitizers' own included */

static const char *const recipes[] = {
	"qemu-img create -q -f qcow2 -o cluster_size=512 $i 1M;"
	"qemu-io -c 'write -q 0 20k' -c 'write -qz 30k 9k' $i;"
	"qemu-img snapshot -c a $i; qemu-io -c 'write -q 5k 9k' $i;"
	"qemu-img snapshot -c b $i",
	"qemu-img create -q -f qcow2 -o cluster_size=4k,refcount_bits=4 $i 1G;"
	"qemu-img bitmap --add -g 512 $i a; qemu-io -c 'write -q 0 20k' $i",
	"qemu-img create -q -f qcow2 -o extended_l2=on,cluster_size=16k $i 9M;"
	"qemu-io -c 'write -q 1k 9k' -c 'write -q 40k 1k' -c 'write -qz 1M 4k' $i",
	"yes | head -c 300k >$i.raw;"
	"qemu-img convert -c -O qcow2 -o cluster_size=4k $i.raw $i",
	"qemu-img create -q -f qcow2 -o compat=0.10 $i 9M;"
	"qemu-io -c 'write -q 0 20k' -c 'write -q 9000k 9k' $i",
};

static struct random generator;
static unsigned long mutants, refused, repaired, asked;

static uint64_t draw(uint64_t n)
{
	return random_below(&generator, n);
}

/* An entry that leads somewhere, with flags that may not be there. */
static uint64_t draw_entry(size_t size)
{
	uint64_t entry = draw(8) ? draw(size) : random_next(&generator);

	if (draw(2))
		entry = round_down(entry, 512);
	if (draw(2))
		entry = round_down(entry, 65536);
	return entry | (random_next(&generator) & 7ull << 61 & -draw(2));
}

/* Mostly a place that is not zero: half of a small image is data. */
static size_t draw_place(const uint8_t *bytes, size_t size)
{
	size_t at = draw(4) ? draw(size) : draw(min_u64(size, 200));

	for (unsigned int n = 0; n < 50 && !bytes[at]; n++)
		at = draw(size);
	return at;
}

static void mutate(uint8_t *bytes, size_t size)
{
	size_t at = draw_place(bytes, size);

	switch (draw(3)) {
	case 0:
		bytes[at] ^= 1u << draw(8);
		break;
	case 1:
		bytes[at] = random_next(&generator);
		break;
	default:
		at = round_down(at, 8);
		if (at + 8 <= size)
			store_be64(bytes + at, draw_entry(size));
	}
}

static int check(const char *path, enum qcow_repair repair,
		 struct qcow_check *result)
{
	const struct qcow_check_options options = {
		.repair = repair,
		.journal_dir = scratch(),
		.memory = draw(2), /* as little as possible, or enough */
	};
	struct qcow_error error;
	int ret;

	alarm(PATIENCE);
	ret = qcow_check(path, &options, result, &error);
	alarm(0);
	return ret;
}

static void test_mutant(const char *path)
{
	struct qcow_check before, after;
	int status;

	mutants++;
	if (check(path, QCOW_REPAIR_NONE, &before)) {
		refused++;
		return;
	}
	if (check(path, draw(4) ? QCOW_REPAIR_ALL : QCOW_REPAIR_LEAKS, &after))
		return;
	if (after.corruptions > before.corruptions)
		die("%lu corruptions before the repair, %lu after it; the image was: %s.bad",
		    before.corruptions, after.corruptions, path);
	if (after.corruptions || after.leaks || after.check_errors)
		return;
	repaired++;
	if (draw(20))
		return;
	status = run("qemu-img check -q %s >/dev/null 2>&1", path);
	/* qemu-img may refuse features that our check does not care for. */
	asked += status != 1;
	if (status > 1)
		die("sound, but %d for qemu-img; the image was: %s.bad", status,
		    path);
}

static void test_image(const char *recipe)
{
	char *path = scratch_path("image"), *bad = scratch_path("image.bad");
	size_t size;
	uint8_t *sound, *bytes;

	must_run("i=%s; rm -f $i; %s", path, recipe);
	sound = read_file(path, &size);
	bytes = malloc(size);
	for (unsigned int n = 0; n < MUTANTS * effort(); n++) {
		memcpy(bytes, sound, size);
		for (unsigned int m = draw(6); m < 6; m++)
			mutate(bytes, size);
		write_file(path, bytes, size);
		write_file(bad, bytes, size);
		test_mutant(path);
	}
	free(bytes);
	free(sound);
	free(path);
	free(bad);
}

int main(int argc, char **argv)
{
	struct rusage usage;

	generator.state = argc > 1 ? strtoull(argv[1], NULL, 0) : 1;
	for (unsigned int r = 0; r < ARRAY_SIZE(recipes); r++)
		test_image(recipes[r]);
	getrusage(RUSAGE_SELF, &usage);
	if (usage.ru_maxrss > (long)MAX_RESIDENT)
		die("%ld KiB of memory", usage.ru_maxrss);
	printf("%lu mutants, %lu refused, %lu repaired, qemu-img agreed with %lu\n",
	       mutants, refused, repaired, asked);
	return 0;
}
