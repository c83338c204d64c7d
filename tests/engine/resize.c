// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Larger disks of many kinds of images.  qemu-img finds the new size, no fault,
 * and the old bytes with zeros behind them.  Then random operations go on
 * (lib/model.h).  Other growths are refused, with their reason, and leave the
 * image as it was.  A growth by many TiB, for which a guest waits, does not
 * look at each new cluster.
 *
 * usage: resize [SEED]
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "qcow/bits.h"
#include "qcow/resize.h"
#include "tests/lib/helpers.h"
#include "tests/lib/model.h"

#define KIB	   1024ull
#define OPERATIONS 60

#define FAR	    (64ull << 40) /* bytes */
#define FAR_SECONDS 20

/* Commands that make the image $i over the raw file $r of $s KiB. */
#define PLAIN(options) "qemu-img convert -f raw -O qcow2 -o " options " $r $i"
#define OVERLAY(options) \
	"qemu-img create -q -f qcow2 -o " options " -F raw -b $r $i ${s}K"

struct kind {
	const char *make;
	uint64_t from, to; /* KiB */
};

static const struct kind kinds[] = {
	{ PLAIN("cluster_size=64k"), 1000, 1001 },
	{ PLAIN("cluster_size=64k"), 1024, 40000 },
	{ PLAIN("compat=0.10"), 333, 5000 },
	{ PLAIN("cluster_size=512"), 100, 9000 },
	{ PLAIN("cluster_size=512,refcount_bits=64"), 100, 20000 },
	{ PLAIN("cluster_size=2M"), 3000, 9000 },
	{ PLAIN("extended_l2=on,cluster_size=16k"), 777, 3000 },
	{ PLAIN("lazy_refcounts=on"), 777, 3000 },
	{ PLAIN("cluster_size=4k,preallocation=full"), 777, 3000 },
	{ PLAIN("cluster_size=4k") " -c", 777, 3000 },
	{ PLAIN("cluster_size=4k") " && qemu-img snapshot -c one $i", 777,
	  9000 },
	{ PLAIN("cluster_size=4k,data_file=$i.data"), 777, 3000 },
	{ PLAIN("cluster_size=4k,data_file=$i.data,data_file_raw=on"), 777,
	  3000 },
	{ PLAIN("cluster_size=4k,data_file=$i.data,data_file_raw=on") " && "
								      "yes | head -c 2000000 | dd of=$i.data bs=1K seek=777 2>/dev/null",
	  777, 3000 },
	{ PLAIN("cluster_size=512,data_file=$i.data,data_file_raw=on") " && "
								       "yes | head -c 2000000 | dd of=$i.data bs=1K seek=6000 2>/dev/null",
	  777, 9000 },
	{ PLAIN("cluster_size=4k") " && qemu-img bitmap --add $i one", 777,
	  9000 },
	/* The file below it is longer than both sizes. */
	{ OVERLAY("cluster_size=64k"), 1001, 1900 },
	{ OVERLAY("cluster_size=512"), 101, 1900 },
	{ OVERLAY("cluster_size=4k,compat=0.10"), 101, 1900 },
	{ OVERLAY("cluster_size=16k,extended_l2=on"), 101, 1900 },
};

#define RAW_KIB 2000ull

static uint8_t *make_raw(const char *path, struct random *random,
			 uint64_t length)
{
	uint8_t *bytes = calloc(1, length);

	for (uint64_t i = 0; i < length; i += 4096)
		if (random_below(random, 3))
			memset(bytes + i, 1 + random_below(random, 255),
			       min_u64(4096, length - i));
	write_file(path, bytes, length);
	return bytes;
}

static void make_image(const struct kind *kind, const char *image,
		       const char *raw)
{
	must_run("rm -f %s %s.data", image, image);
	must_run("i=%s r=%s s=%lu; %s", image, raw, kind->from, kind->make);
}

static void grow(const char *path, enum qcow_cache cache, uint64_t size,
		 const char *what)
{
	struct qcow_image *image = model_open(path, cache);
	struct qcow_error error = { "" };

	if (qcow_grow(image, size, &error))
		die("%s: %s", what, error.text);
	if (qcow_size(image) != size)
		die("%s: the disk did not get larger", what);
	/* The disk has that size already: nothing to do. */
	if (qcow_grow(image, size, &error))
		die("%s: again: %s", what, error.text);
	model_close(image);
}

/* A raw data file is the disk, too. */
static void check_data_file(const struct kind *kind, const char *image,
			    const uint8_t *model, uint64_t size)
{
	char *raw;

	if (!strstr(kind->make, "data_file_raw"))
		return;
	raw = scratch_path("model");
	write_file(raw, model, size);
	if (run("cmp -n %lu %s %s.data", size, raw, image))
		die("%s: the data file is not the disk", kind->make);
	free(raw);
}

static void test_kind(const struct kind *kind, struct random *random)
{
	char *path = scratch_path("image"), *raw = scratch_path("raw");
	bool under = strstr(kind->make, " -b ");
	uint64_t length = (under ? RAW_KIB : kind->from) * KIB;
	uint64_t size = kind->to * KIB;
	uint8_t *bytes = make_raw(raw, random, length);
	uint8_t *model = calloc(1, size);

	memcpy(model, bytes, kind->from * KIB);
	make_image(kind, path, raw);
	grow(path,
	     random_below(random, 2) ? QCOW_CACHE_NONE : QCOW_CACHE_WRITEBACK,
	     size, kind->make);
	must_run("test $(qemu-img info --output=json %s | "
		 "sed -n 's/^    \"virtual-size\": \\([0-9]*\\),/\\1/p') = %lu",
		 path, size);
	check_data_file(kind, path, model, size);
	model_run(path, QCOW_CACHE_WRITEBACK, model, OPERATIONS, random,
		  kind->make);
	free(bytes);
	free(path);
	free(raw);
}

/* ---- refusals ---- */

struct refusal {
	const char *make; /* $i */
	uint64_t size;	  /* bytes */
	bool read_only;
	int error;
};

static const struct refusal refusals[] = {
	{ "qemu-img create -q -f qcow2 $i 1M", 1 << 19, false, -EINVAL },
	{ "qemu-img create -q -f qcow2 $i 1M", (1 << 20) + 511, false,
	  -EINVAL },
	{ "qemu-img create -q -f qcow2 $i 1M", 1 << 21, true, -EROFS },
	{ "qemu-img create -q -f qcow2 -o compat=0.10 $i 1M && "
	  "qemu-img snapshot -c one $i",
	  1 << 21, false, -ENOTSUP },
	{ "qemu-img create -q -f qcow2 -o cluster_size=512 $i 1M", 1ull << 40,
	  false, -EFBIG },
};

static void test_refusal(const struct refusal *refusal)
{
	char *path = scratch_path("image"), *copy = scratch_path("copy");
	struct qcow_options options = {
		.journal_dir = scratch(),
		.read_only = refusal->read_only,
	};
	struct qcow_error error = { "" };
	struct qcow_image *image;
	int ret;

	must_run("rm -f %s; i=%s; %s", path, path, refusal->make);
	must_run("cp %s %s", path, copy);
	if (qcow_open(path, &options, &image, &error))
		die("%s: %s", refusal->make, error.text);
	ret = qcow_grow(image, refusal->size, &error);
	if (ret != refusal->error || !error.text[0])
		die("%s: grow: %s (%s)", refusal->make, strerror(-ret),
		    error.text);
	model_close(image);
	must_run("cmp %s %s", path, copy);
	free(path);
	free(copy);
}

/* Version 2 has no zero clusters, so zeros are written over a backing file. */
static void test_far(void)
{
	struct qcow_error error = { "" };
	char *path = scratch_path("far");
	struct qcow_image *image;

	must_run(
		"cd %s && truncate -s 1G far.raw && "
		"qemu-img create -q -f qcow2 -o compat=0.10 -b far.raw -F raw far",
		scratch());
	image = model_open(path, QCOW_CACHE_WRITEBACK);
	alarm(FAR_SECONDS);
	if (qcow_grow(image, FAR, &error))
		die("64 TiB: %s", error.text);
	alarm(0);
	model_close(image);
	must_run("qemu-img check -q %s", path);
	free(path);
}

int main(int argc, char **argv)
{
	struct random random = {
		.state = argc > 1 ? strtoull(argv[1], NULL, 0) : 1,
	};

	for (unsigned int n = 0; n < effort(); n++)
		for (unsigned int k = 0; k < ARRAY_SIZE(kinds); k++)
			test_kind(&kinds[k], &random);
	for (unsigned int r = 0; r < ARRAY_SIZE(refusals); r++)
		test_refusal(&refusals[r]);
	test_far();
	return 0;
}
