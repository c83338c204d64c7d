// SPDX-License-Identifier: GPL-2.0-or-later
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "tests/engine/legacy-images.h"
#include "qcow/file.h"

/* noise, text, and nothing */
static void fill(uint8_t *raw, struct random *random)
{
	for (size_t i = 0; i < LEGACY_SIZE; i++)
		if (i / 65536 % 3)
			raw[i] = random_next(random) &
				 (i / 65536 % 3 == 1 ? 255 : 3);
}

void images_create(struct legacy_images *images, struct random *random)
{
	images->raw_path = scratch_path("raw");
	images->image_path = scratch_path("image");
	images->key_path = scratch_path("key");
	images->raw = calloc(1, LEGACY_SIZE);
	fill(images->raw, random);
	write_file(images->raw_path, images->raw, LEGACY_SIZE);
	images_write_key(images, LEGACY_KEY "\n");
}

void images_write_key(const struct legacy_images *images, const char *key)
{
	write_file(images->key_path, key, strlen(key));
}

void images_make(const struct legacy_images *images, const char *options)
{
	int status = run("rm -f %s; qemu-img convert %s %s %s 2>/dev/null",
			 images->image_path, options, images->raw_path,
			 images->image_path);

	/* qemu-img is not content with its compressed QCOW images. */
	if (status && !strstr(options, "-c -O qcow"))
		die("qemu-img convert %s: status %d", options, status);
}

void images_open_file(const struct legacy_images *images, enum qcow_cache cache,
		      struct file *file)
{
	struct qcow_options options = { .read_only = true, .cache = cache };
	struct qcow_error error;

	if (file_open(file, images->image_path, &options, &error))
		die("%s: %s", images->image_path, error.text);
}

struct legacy *images_open(const struct legacy_images *images, const char *what,
			   const char *key_file, enum qcow_cache cache,
			   struct file *file)
{
	struct qcow_error error = { "" };
	struct legacy *legacy;
	bool is_legacy;

	images_open_file(images, cache, file);
	if (legacy_probe(file, &is_legacy) || !is_legacy)
		die("%s: not known as a legacy image", what);
	if (legacy_open(file, key_file, &legacy, &error))
		die("%s: %s", what, error.text);
	return legacy;
}
