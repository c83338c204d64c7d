/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The files of a disk besides its image, as the record has them.
 *
 * Functions return 0 or -errno.
 */
#ifndef LAYERS_H
#define LAYERS_H

#include <limits.h>
#include <stdbool.h>
#include <stdio.h>

#include "qcow/qcow.h"

struct layers {
	bool known; /* these are all */
	unsigned int count;
	struct qcow_layer list[QCOW_FILES_MAX]; /* their paths are ours */
	unsigned int nr_merged; /* lay between two that were merged: as long as
				   disk.merged_from is there */
	struct qcow_layer merged[QCOW_FILES_MAX];
};

/* Appends a copy of a layer.  Returns:
   0		the copy is the last layer
   -E2BIG	the list is full
   -ENOMEM */
int layers_append(struct layers *layers, const struct qcow_layer *layer);

/* The same for one that was merged. */
int layers_append_merged(struct layers *layers, const struct qcow_layer *layer);
void layers_clear_merged(struct layers *layers);

/* Forgets and frees all layers. */
void layers_clear(struct layers *layers);

/* Writes the layers as lines of a record; no line if they are not known, or
   NULL. */
void layers_put(FILE *file, const struct layers *layers);

/* Takes one of these lines, and ignores any other line.  The layers are known
   once the last of their lines has been taken.  Returns:
   0		the line is taken, or ignored
   -EINVAL	the line is damaged, or lines before it are missing
   -E2BIG, -ENOMEM	as layers_append() */
int layers_get_line(struct layers *layers, char *line);

/* Behind the name of an image: the overlay of a backup of it. */
#define BACKUP_SUFFIX ".during-backup"

struct disk;

/* Is the disk served from the overlay that a backup of image has made?  The
   name alone does not tell that. */
bool layers_of_backup(const struct disk *disk, char image[PATH_MAX]);

#endif /* LAYERS_H */
