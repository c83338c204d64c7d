// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Images of more than one file or state: backing chains, internal snapshots,
 * compressed clusters, subclusters, data files, legacy images, dirty bits and
 * bitmaps, in many shapes.  Each image is read whole and compared with qemu-img
 * convert.  It is written to at random beside a model, and then qemu-img judges
 * it.  The layers below it and its snapshots must not have changed.
 *
 * usage: layers [SEED]
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "tests/engine/layers.h"
#include "tests/lib/model.h"
#include "tests/lib/operations.h"
#include "tests/lib/helpers.h"
#include "qcow/image.h"

#define OPERATIONS 120

static struct random random_numbers;
static unsigned int images;

static unsigned int draw(unsigned int n)
{
	return random_below(&random_numbers, n);
}

void make_raw(const char *path, uint64_t size)
{
	uint8_t *bytes = calloc(1, size);
	uint64_t at = 0;

	while (at < size) {
		uint64_t length = min_u64(size - at, 512u << draw(9));
		unsigned int kind = draw(3);

		for (uint64_t i = at; kind && i < at + length; i++)
			bytes[i] = kind == 1 ? draw(256) : 'a' + i / 4096 % 26;
		at += length;
	}
	write_file(path, bytes, size);
	free(bytes);
}

/* The contents of an image, read by qemu-img. */
static uint8_t *contents(const char *path, uint64_t *size)
{
	char *raw = scratch_path("contents");
	size_t length;
	uint8_t *bytes;

	must_run("qemu-img convert -f qcow2 -O raw %s %s", path, raw);
	bytes = read_file(raw, &length);
	*size = length;
	free(raw);
	return bytes;
}

static void run_beside(const char *path, const char *what)
{
	uint64_t size;
	uint8_t *model = contents(path, &size);

	model_run(path, draw(2) ? QCOW_CACHE_NONE : QCOW_CACHE_WRITEBACK, model,
		  OPERATIONS, &random_numbers, what);
	images++;
}

static const char *draw_options(bool compressible)
{
	static const char *const clusters[] = {
		"512", "1024", "4096", "16384", "65536", "65536", "262144",
	};
	static char options[4][128];
	static unsigned int next;
	char *text = options[next++ % 4];
	bool v2 = draw(4) == 0;

	if (!v2 && draw(3) == 0) {
		snprintf(text, 128, "cluster_size=%u,extended_l2=on%s",
			 16384u << draw(5),
			 compressible && draw(2) ? ",compression_type=zstd" :
						   "");
		return text;
	}
	snprintf(text, 128, "compat=%s,cluster_size=%s%s", v2 ? "0.10" : "1.1",
		 clusters[draw(7)],
		 !v2 && compressible && draw(2) ? ",compression_type=zstd" :
						  "");
	return text;
}

static uint64_t draw_size(void)
{
	return 512 * (1 + draw(4000));
}

/* Makes an image of a random raw file. */
static void make_image(const char *path, uint64_t size, bool compressed)
{
	char *raw = scratch_path("raw");

	make_raw(raw, size);
	must_run("rm -f %s; qemu-img convert -f raw %s -O qcow2 -o %s %s %s",
		 path, compressed ? "-c" : "", draw_options(compressed), raw,
		 path);
	free(raw);
}

/* Random writes by qemu-io, so that the layers differ. */
static void scribble(const char *path, uint64_t size)
{
	for (unsigned int n = 0; n < 6; n++) {
		uint64_t offset = 512 *
				  random_below(&random_numbers, size / 512);
		uint64_t length = min_u64(size - offset, 512u << draw(8));

		must_run("qemu-io -f qcow2 -c 'write -q %s %lu %lu' %s",
			 draw(4) ? "-P 0x77" : "-z", offset, length, path);
	}
}

static void test_compressed(void)
{
	char *path = scratch_path("image");

	make_image(path, draw_size(), true);
	run_beside(path, "compressed");
	free(path);
}

static void test_snapshots(void)
{
	char *path = scratch_path("image");
	char *before = scratch_path("before"), *after = scratch_path("after");
	uint64_t size = draw_size();

	make_image(path, size, draw(2));
	must_run("qemu-img snapshot -c one %s", path);
	scribble(path, size);
	must_run("qemu-img snapshot -c two %s", path);
	must_run("qemu-img convert -l one -O raw %s %s1", path, before);
	must_run("qemu-img convert -l two -O raw %s %s2", path, before);
	run_beside(path, "snapshots");
	must_run("qemu-img convert -l one -O raw %s %s1", path, after);
	must_run("qemu-img convert -l two -O raw %s %s2", path, after);
	must_run("cmp %s1 %s1 && cmp %s2 %s2", before, after, before, after);
	must_run("qemu-img snapshot -d one %s && qemu-img check -q %s", path,
		 path);
	free(path);
	free(before);
	free(after);
}

/* Gives the file at path another name, and makes an overlay on it there. */
static void put_overlay(const char *path, const char *format,
			unsigned int depth)
{
	uint64_t size = draw(3) ? draw_size() : 0;
	char text[32] = "";

	if (size)
		snprintf(text, sizeof(text), "%lu", size);
	must_run(
		"mv %s %s.%u && qemu-img create -q -f qcow2 -o %s -b %s.%u -F %s %s %s",
		path, path, depth, draw_options(false), path, depth, format,
		path, text);
}

static void test_chain(void)
{
	char *path = scratch_path("image");
	unsigned int depth = 1 + draw(4);
	bool raw = draw(3) == 0;

	if (raw)
		make_raw(path, draw_size());
	else
		make_image(path, draw_size(), draw(2));
	for (unsigned int n = 0; n < depth; n++) {
		uint64_t size;

		put_overlay(path, raw && !n ? "raw" : "qcow2", n);
		free(contents(path, &size));
		scribble(path, size);
	}
	must_run("sha256sum %s.* >%s/sums", path, scratch());
	run_beside(path, "chain");
	must_run("sha256sum --quiet -c %s/sums", scratch());
	must_run("rm %s.*", path);
	free(path);
}

/* QEMU died with lazy refcounts: the engine rebuilds them before the first
   write. */
static void test_dirty(void)
{
	char *path = scratch_path("image");

	must_run(
		"rm -f %s; qemu-img create -q -f qcow2 -o lazy_refcounts=on,cluster_size=%u %s 8M",
		path, 4096u << draw(5), path);
	run("qemu-io -f qcow2 -c 'write -q -P 0x77 %u %u' -c abort %s >/dev/null 2>&1",
	    512 * draw(8000), 512 * (1 + draw(4000)), path);
	if (run("qemu-img check -q %s >/dev/null 2>&1", path) == 0)
		die("the dirty image is clean");
	run_beside(path, "dirty");
	free(path);
}

/* A data file holds the guest's bytes; a raw data file is the disk alone. */
static void test_data_file(void)
{
	char *path = scratch_path("image");
	bool raw = draw(2);
	bool under = !raw && draw(2);
	char *base = scratch_path("base");

	make_raw(base, draw_size());
	must_run(
		"rm -f %s %s.data; qemu-img create -q -f qcow2 -o cluster_size=%u,data_file=%s.data%s%s%s %s 2M",
		path, path, 512u << draw(8), path,
		raw ? ",data_file_raw=on" : "",
		under ? ",backing_fmt=raw,backing_file=" : "",
		under ? base : "", path);
	scribble(path, 2u << 20);
	run_beside(path, raw ? "raw data file" : "data file");
	if (raw)
		must_run("qemu-img compare -q -f qcow2 -F raw %s %s.data", path,
			 path);
	free(base);
	free(path);
}

static uint64_t space_of(const char *path)
{
	struct stat st;

	if (stat(path, &st))
		die("%s: no status", path);
	return st.st_blocks * 512ull;
}

/* Discarded bytes take no space in the data file, and no other bytes lose
   theirs.  Zeros that are asked to keep their space keep it. */
static void test_data_file_space(const char *options, bool raw)
{
	const struct qcow_options open = {
		.journal_dir = scratch(),
		.references = &model_references,
		.cache = QCOW_CACHE_WRITEBACK,
		.inline_checkpoint = true,
	};
	char *path = scratch_path("image"), *data = scratch_path("image.data");
	struct qcow_image *image;
	uint64_t before;

	must_run(
		"rm -f %s %s; qemu-img create -q -f qcow2 -o data_file=%s%s %s 2M; qemu-io -c 'write -q 0 2M' %s",
		path, data, data, options, path, path);
	before = space_of(data);
	if (qcow_open(path, &open, &image, NULL) ||
	    qcow_write_zeroes(image, 0, 512u << 10, false))
		die("space: cannot zero");
	if (!raw && space_of(data) != before)
		die("space: zeros that keep it gave it back");
	if (qcow_discard(image, 512u << 10, 512u << 10) ||
	    qcow_write_zeroes(image, 1u << 20, 512u << 10, true))
		die("space: cannot discard");
	if (before - space_of(data) != (raw ? 1536u << 10 : 1024u << 10))
		die("space: %lu bytes of %lu are left", space_of(data), before);
	if (qcow_close(image))
		die("space: close");
	must_run(
		"qemu-io -c 'read -q -P 0 0 1536k' -c 'read -q -P 0xcd 1536k 512k' %s | (! grep .)",
		path);
	must_run("qemu-img check -q %s", path);
	free(data);
	free(path);
}

/* QCOW version 1, alone and under an overlay. */
static void test_legacy(void)
{
	char *path = scratch_path("image"), *base = scratch_path("base");
	char *raw = scratch_path("raw");
	struct qcow_error error = { "" };
	struct qcow_image *image;
	struct qcow_options options = {
		.read_only = true,
		.journal_dir = scratch(),
	};
	size_t size;
	uint8_t *model, *bytes;

	make_raw(raw, 65536 * (1 + draw(40)));
	/* If it compresses, qemu-img says that it failed when all is done. */
	run("qemu-img convert -f raw -O qcow %s %s %s 2>/dev/null",
	    draw(2) ? "-c" : "", raw, base);
	model = read_file(raw, &size);
	if (qcow_open(base, &options, &image, &error))
		die("legacy: %s", error.text);
	bytes = aligned_alloc(4096, size);
	if (qcow_size(image) != size || qcow_read(image, bytes, 0, size) ||
	    memcmp(bytes, model, size))
		die("legacy: reads something else");
	model_close(image);
	must_run("rm -f %s; qemu-img create -q -f qcow2 -b %s -F qcow %s", path,
		 base, path);
	run_beside(path, "legacy base");
	must_run("qemu-img compare -q -f raw -F qcow %s %s", raw, base);
	free(model);
	free(bytes);
	free(path);
	free(base);
	free(raw);
}

/* Bitmaps are marked as in use from the first write on, and can be removed. */
static void test_bitmaps(void)
{
	char *path = scratch_path("image");

	must_run("rm -f %s; qemu-img create -q -f qcow2 %s 4M", path, path);
	must_run(
		"qemu-img bitmap --add %s one && qemu-img bitmap --add -g 4096 %s two",
		path, path);
	scribble(path, 4u << 20);
	run_beside(path, "bitmaps");
	must_run("test $(qemu-img info --output=json %s | grep -c in-use) = 2",
		 path);
	must_run(
		"qemu-img bitmap --remove %s one && qemu-img bitmap --remove %s two",
		path, path);
	must_run("qemu-img check -q %s", path);
	free(path);
}

/* One copy over subclusters of all kinds: data of the layer below, and
   zeros. */
static void test_mixed_subclusters(void)
{
	char *path = scratch_path("image"), *base = scratch_path("base");
	uint8_t *bytes = aligned_alloc(4096, 12288);
	struct qcow_image *image;

	make_raw(base, 65536);
	must_run(
		"rm -f %s; qemu-img create -q -f qcow2 -o extended_l2=on -b %s -F raw %s",
		path, base, path);
	must_run("qemu-io -f qcow2 -c 'write -q -z 4k 4k' %s", path);
	memset(bytes, 0x33, 12288);
	image = model_open(path, QCOW_CACHE_WRITEBACK);
	if (qcow_write(image, bytes, 512, 8192) ||
	    qcow_read(image, bytes, 0, 12288))
		die("mixed subclusters: I/O fails");
	model_close(image);
	must_run("qemu-img check -q %s", path);
	must_run("qemu-io -f qcow2 -r -c 'read -q -P 0x33 512 8k' %s", path);
	free(bytes);
	free(base);
	free(path);
}

int main(int argc, char **argv)
{
	random_numbers.state = argc > 1 ? strtoull(argv[1], NULL, 0) : 1;
	for (unsigned int n = 0; n < 12 * effort(); n++) {
		test_compressed();
		test_snapshots();
		test_chain();
		test_chain();
		test_data_file();
		test_legacy();
		test_dirty();
		test_bitmaps();
	}
	test_mixed_subclusters();
	test_data_file_space("", false);
	test_data_file_space(",data_file_raw=on", true);
	test_known_layers();
	test_many_files();
	if (!operation_copies)
		die("no write that never blocks has copied");
	printf("%u images\n", images);
	return 0;
}
