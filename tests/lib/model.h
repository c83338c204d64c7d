/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Random operations on an image, and the same on its contents in memory;
   qemu-img judges. */
#ifndef MODEL_H
#define MODEL_H

#include "tests/lib/helpers.h"
#include "qcow/qcow.h"

/* An admin's word that images may name any file, also for their data. */
extern const struct qcow_references model_references;

/* Dies on failure. */
struct qcow_image *model_open(const char *path, enum qcow_cache cache);
void model_close(struct qcow_image *image);

/* Do discards change the bytes of the disk?  In version 2 a discarded cluster
   would show the bytes under the image; so nothing is discarded. */
bool model_discards(const char *path);

/* model has the bytes of the image; it is freed.  Afterwards qemu-img check
   finds no error and qemu-img compare no difference. */
void model_run(const char *path, enum qcow_cache cache, uint8_t *model,
	       unsigned int operations, struct random *random,
	       const char *what);

#endif /* MODEL_H */
