/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Legacy images for tests: all hold the same bytes. */
#ifndef LEGACY_IMAGES_H
#define LEGACY_IMAGES_H

#include "tests/lib/helpers.h"
#include "qcow/legacy/legacy.h"

#define LEGACY_SIZE ((3u << 20) + 1536)
#define LEGACY_KEY  "open sesame"

/* Options of qemu-img convert. */
#define SECRET "--object secret,id=key,data='" LEGACY_KEY "'"
#define AES    "encrypt.format=aes,encrypt.key-secret=key"

struct legacy_images {
	char *raw_path;
	char *image_path;
	char *key_path; /* a file with the key */
	uint8_t *raw;	/* the contents of all images */
};

/* Makes the bytes and the key file; images are made one at a time. */
void images_create(struct legacy_images *images, struct random *random);
void images_write_key(const struct legacy_images *images, const char *key);
/* qemu-img convert with these options. */
void images_make(const struct legacy_images *images, const char *options);
void images_open_file(const struct legacy_images *images, enum qcow_cache cache,
		      struct file *file);
/* Opens the image that was made last; `what` names it in messages. */
struct legacy *images_open(const struct legacy_images *images, const char *what,
			   const char *key_file, enum qcow_cache cache,
			   struct file *file);

#endif /* LEGACY_IMAGES_H */
