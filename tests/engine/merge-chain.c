// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Makes, fills and opens the chains of `merge`, and judges their layers by
 * their files.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "tests/engine/merge.h"
#include "tests/lib/helpers.h"
#include "tests/lib/model.h"
#include "tests/lib/operations.h"

#define SCRIBBLES 12 /* in each layer, before the merge */

struct merge_test test;

static const char *name_of(unsigned int layer)
{
	const char *options = test.chain->layers[layer].options;

	return options ? options : "raw";
}

void die_here(const char *what, const char *why)
{
	die("%s, %s...: %s: %s", name_of(0), name_of(1), what, why);
}

static void scribble(unsigned int layer, struct random *random)
{
	struct qcow_image *image = model_open(test.paths[layer],
					      QCOW_CACHE_WRITEBACK);

	for (unsigned int n = 1; n <= SCRIBBLES; n++) {
		struct operation operation;

		operation_draw(&operation, (layer + 1) * 1000 + n, random,
			       qcow_size(image), qcow_cluster_size(image),
			       false);
		if (operation_do(&operation, image, false, NULL))
			die_here(test.paths[layer], "scribbling");
	}
	model_close(image);
}

static void make_raw(const char *path, uint64_t size)
{
	uint8_t *bytes = calloc(1, size);

	for (uint64_t s = 0; s < size / 512; s++)
		if (s / 100 % 3)
			operation_stamp(bytes + s * 512, 9000, s);
	write_file(path, bytes, size);
	free(bytes);
}

static void make_layer(unsigned int layer, struct random *random)
{
	const char *options = test.chain->layers[layer].options;
	const char *then = layer == test.chain->into ? test.chain->then : NULL;
	uint64_t size = test.chain->layers[layer].size;
	const char *path = test.paths[layer];

	if (!options) {
		make_raw(path, size * KIB);
		return;
	}
	if (layer + 1 == test.nr)
		must_run("i=%s; qemu-img create -q -f qcow2 -o %s %s %luK",
			 path, options, path, size);
	else
		must_run(
			"i=%s; qemu-img create -q -f qcow2 -o %s -F %s -b %s %s %luK",
			path, options,
			test.chain->layers[layer + 1].options ? "qcow2" : "raw",
			test.paths[layer + 1], path, size);
	scribble(layer, random);
	if (then)
		must_run("i=%s; %s", path, then);
}

void make_chain(const struct chain *chain, struct random *random)
{
	char *raw = scratch_path("model");
	size_t size;

	test.chain = chain;
	must_run("rm -f %s/*", scratch());
	while (test.nr < LAYERS_MAX && chain->layers[test.nr].size) {
		char name[16];

		snprintf(name, sizeof(name), "layer%u", test.nr);
		test.paths[test.nr++] = scratch_path(name);
	}
	for (unsigned int layer = test.nr; layer--;)
		make_layer(layer, random);
	must_run("qemu-img convert -O raw %s %s", test.paths[0], raw);
	test.model = read_file(raw, &size);
	test.size = size;
	for (unsigned int layer = 0; layer < test.nr; layer++)
		must_run("cp %s %s.before", test.paths[layer],
			 test.paths[layer]);
	free(raw);
}

void free_chain(void)
{
	while (test.nr)
		free(test.paths[--test.nr]);
	free(test.model);
}

struct qcow_image *open_chain(void)
{
	struct qcow_options options = {
		.cache = QCOW_CACHE_WRITEBACK,
		.journal_dir = scratch(),
		.references = &model_references,
		/* Data files count, too; here none lies before the layer. */
		.merge_into = test.chain->into,
	};
	struct qcow_error error = { "" };
	struct qcow_image *image;

	if (qcow_open(test.paths[0], &options, &image, &error))
		die_here("open", error.text);
	return image;
}

void check_written(const struct qcow_image *image)
{
	struct qcow_layer layers[QCOW_FILES_MAX];
	unsigned int n = qcow_layers(image, layers, QCOW_FILES_MAX);

	for (unsigned int i = 0; i < n; i++)
		if (layers[i].written != (i + 1 == test.chain->into ||
					  strstr(layers[i].path, ".data")))
			die_here(layers[i].path, "is it written?");
}

void check_flushed(void)
{
	char *raw = scratch_path("model");
	unsigned int into = test.chain->into;
	const char *format = test.chain->layers[into].options ? "qcow2" : "raw";

	write_file(raw, test.model, test.size);
	if (run("qemu-img compare -q -U -f %s -F raw %s %s", format,
		test.paths[into], raw))
		die_here(test.paths[into], "is not the disk yet");
	free(raw);
}

void check_layers(void)
{
	char *raw = scratch_path("model");
	unsigned int into = test.chain->into;
	const char *format = test.chain->layers[into].options ? "qcow2" : "raw";

	write_file(raw, test.model, test.size);
	for (unsigned int layer = 0; layer < test.nr; layer++) {
		const char *path = test.paths[layer];

		if (test.chain->layers[layer].options &&
		    run("qemu-img check -q %s", path))
			die_here(path, "qemu-img check finds errors");
		if (layer && layer != into &&
		    run("cmp -s %s %s.before", path, path))
			die_here(path, "has changed");
	}
	if (run("qemu-img compare -q -f qcow2 -F raw %s %s", test.paths[0],
		raw))
		die_here(test.paths[0], "is not the disk any more");
	if (run("qemu-img compare -q -f %s -F raw %s %s && "
		"test $(qemu-img info -f %s --output=json %s | "
		"sed -n 's/^    \"virtual-size\": \\([0-9]*\\),/\\1/p') = %lu",
		format, test.paths[into], raw, format, test.paths[into],
		test.size))
		die_here(test.paths[into], "is not the disk");
	free(raw);
}
