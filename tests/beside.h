/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Random operations on an image, beside the same on its contents in memory,
   judged by qemu-img. */
#ifndef BESIDE_H
#define BESIDE_H

#include "helpers.h"
#include "qcow/qcow.h"

/* An admin's word that images may name any file, also for their data. */
extern const struct qcow_references beside_references;

/* Dies on failure. */
struct qcow_image *beside_open(const char *path, enum qcow_cache cache);
void beside_close(struct qcow_image *image);

/* Do discards change what the disk holds?  In version 2, what was discarded
   would show what lies under the image; so nothing is. */
bool beside_discards(const char *path);

/* model is what the image holds; it is freed.  Afterwards qemu-img check
   finds no error and qemu-img compare no difference. */
void beside_run(const char *path, enum qcow_cache cache, uint8_t *model,
		unsigned int operations, struct random *random,
		const char *what);

#endif /* BESIDE_H */
