// SPDX-License-Identifier: GPL-2.0-or-later
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "tests/lib/model.h"
#include "tests/lib/operations.h"
#include "qcow/image.h"

static const char *const everywhere[] = { "/", NULL };

const struct qcow_references model_references = {
	.data_directories = everywhere,
};

struct qcow_image *model_open(const char *path, enum qcow_cache cache)
{
	struct qcow_error error = { "" };
	struct qcow_image *image;
	struct qcow_options options = {
		.cache = cache,
		.journal_dir = scratch(),
		.references = &model_references,
	};

	if (qcow_open(path, &options, &image, &error))
		die("%s: %s", path, error.text);
	return image;
}

void model_close(struct qcow_image *image)
{
	int ret = qcow_close(image);

	if (ret)
		die("close: %s", strerror(-ret));
}

static void read_and_compare(struct qcow_image *image, const uint8_t *model,
			     uint64_t size, const char *what)
{
	uint8_t *bytes = aligned_alloc(4096, round_up(size, 4096));
	int ret = qcow_read(image, bytes, 0, size);

	if (ret)
		die("%s: read: %s", what, strerror(-ret));
	for (uint64_t s = 0; s < size / 512; s++)
		if (memcmp(bytes + s * 512, model + s * 512, 512))
			die("%s: sector %lu differs", what, s);
	free(bytes);
}

static void check_with_qemu(const char *path, const uint8_t *model,
			    uint64_t size, const char *what)
{
	char *raw = scratch_path("model");

	write_file(raw, model, size);
	if (run("qemu-img check -q %s", path))
		die("%s: qemu-img check finds errors", what);
	if (run("qemu-img compare -q -f qcow2 -F raw %s %s", path, raw))
		die("%s: qemu-img compare finds a difference", what);
	free(raw);
}

bool model_discards(const char *path)
{
	struct qcow_error error = { "" };
	struct qcow_info info;

	if (qcow_read_info(path, &info, &error))
		die("%s: %s", path, error.text);
	return info.version > 2 || !info.has_backing;
}

void model_run(const char *path, enum qcow_cache cache, uint8_t *model,
	       unsigned int operations, struct random *random, const char *what)
{
	struct qcow_image *image = model_open(path, cache);
	uint32_t cluster = qcow_cluster_size(image);
	uint64_t size = qcow_size(image);

	bool effective = model_discards(path);

	read_and_compare(image, model, size, what);
	for (unsigned int n = 1; n <= operations; n++) {
		struct operation operation;
		int ret;

		operation_draw(&operation, n, random, size, cluster, false);
		ret = operation_do(&operation, image, random_below(random, 2),
				   NULL);
		if (ret)
			die("%s: operation %u: %s", what, n, strerror(-ret));
		if (operation.kind != OPERATION_DISCARD || effective)
			operation_apply(&operation, model, size, cluster);
		if (random_below(random, operations / 3))
			continue;
		model_close(image);
		image = model_open(path, cache);
		read_and_compare(image, model, size, what);
	}
	read_and_compare(image, model, size, what);
	model_close(image);
	check_with_qemu(path, model, size, what);
	free(model);
}
