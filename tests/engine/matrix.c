// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Every geometry that qemu-img can make.  Random operations go through the
 * engine to a real file, and the same operations to a raw file.  The image is
 * reopened now and then.  Afterwards `qemu-img check` finds no error, and
 * `qemu-img compare` finds no difference.  An image that was opened and closed
 * without a write in between has not changed by one byte.
 *
 * usage: matrix [SEED]
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "tests/lib/model.h"
#include "tests/lib/helpers.h"
#include "qcow/image.h"

#define OPERATIONS 150
#define BIG	   (64ull << 40)

static const char *const versions[] = { "0.10", "1.1" };
static const unsigned int cluster_sizes[] = {
	512, 1024, 2048, 4096, 8192, 16384, 65536, 1u << 20, 2u << 20,
};
static const unsigned int refcount_bits[] = { 1, 2, 4, 8, 16, 32, 64 };
static const char *const preallocations[] = {
	"off",
	"metadata",
	"falloc",
	"full",
};

/* Opens and closes the image: not a byte changes. */
static void test_untouched(const char *path, enum qcow_cache cache)
{
	size_t size, size_after;
	uint8_t *before = read_file(path, &size), *after;

	model_close(model_open(path, cache));
	after = read_file(path, &size_after);
	if (size != size_after || memcmp(before, after, size))
		die("%s: changed by open and close", path);
	free(before);
	free(after);
}

/* About 40 clusters, and not always a whole number. */
static uint64_t draw_size(struct random *random, unsigned int cluster)
{
	uint64_t size = cluster * (20 + random_below(random, 40));

	if (random_below(random, 2))
		size -= random_below(random, cluster / 512) * 512;
	return min_u64(size, 24u << 20);
}

static void test_one(const char *options, uint64_t size, struct random *random)
{
	char *path = scratch_path("image");
	/* Direct I/O, if the file system can do it. */
	enum qcow_cache cache = random_below(random, 4) ? QCOW_CACHE_NONE :
							  QCOW_CACHE_WRITEBACK;

	must_run("rm -f %s; qemu-img create -q -f qcow2 -o %s %s %lu", path,
		 options, path, size);
	test_untouched(path, cache);
	model_run(path, cache, calloc(1, size), OPERATIONS, random, options);
	free(path);
}

static unsigned int test_matrix(struct random *random)
{
	unsigned int count = 0;

	for (unsigned int v = 0; v < ARRAY_SIZE(versions); v++)
		for (unsigned int c = 0; c < ARRAY_SIZE(cluster_sizes); c++)
			for (unsigned int p = 0; p < 4; p++) {
				char options[160];
				unsigned int bits =
					v ? refcount_bits[random_below(random,
								       7)] :
					    16;

				snprintf(
					options, sizeof(options),
					"compat=%s,cluster_size=%u,refcount_bits=%u,preallocation=%s",
					versions[v], cluster_sizes[c], bits,
					preallocations[p]);
				test_one(options,
					 draw_size(random, cluster_sizes[c]),
					 random);
				count++;
			}
	return count;
}

/* Small clusters in a large file: the refcount table moves often. */
static void test_growth(struct random *random)
{
	test_one("cluster_size=512,refcount_bits=64", 24u << 20, random);
	test_one("cluster_size=512,refcount_bits=1", 24u << 20, random);
	test_one("cluster_size=1024,compat=0.10", 24u << 20, random);
}

/* Far ends of a very large disk. */
static void test_big(void)
{
	char *path = scratch_path("image");
	uint8_t *bytes = aligned_alloc(4096, 4096);
	struct qcow_image *image;

	must_run("rm -f %s; qemu-img create -q -f qcow2 %s %llu", path, path,
		 (unsigned long long)BIG);
	image = model_open(path, QCOW_CACHE_NONE);
	memset(bytes, 0x5a, 4096);
	for (uint64_t at = 0; at < BIG; at += BIG / 16)
		if (qcow_write(image, bytes, at, 4096) ||
		    qcow_write(image, bytes, BIG - 4096 - at, 4096))
			die("writing to a disk of 64 TiB");
	if (qcow_discard(image, 4096, BIG - 8192))
		die("discarding most of 64 TiB");
	model_close(image);
	must_run("qemu-img check -q %s", path);
	must_run(
		"qemu-io -f qcow2 -r -c 'read -q -P 0x5a 0 4k' -c 'read -q -P 0x5a %llu 4k' -c 'read -q -P 0 %llu 4k' %s >/dev/null",
		(unsigned long long)BIG - 4096, (unsigned long long)BIG / 16,
		path);
	free(bytes);
	free(path);
}

int main(int argc, char **argv)
{
	struct random random = {
		.state = argc > 1 ? strtoull(argv[1], NULL, 0) : 1,
	};
	unsigned int count = 0;

	for (unsigned int n = 0; n < effort(); n++)
		count += test_matrix(&random);
	test_growth(&random);
	test_big();
	printf("%u geometries\n", count);
	return 0;
}
