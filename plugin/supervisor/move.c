// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * From an image to an overlay of it, and back.
 *
 * The overlay is a new image whose backing file is the image.  The move is one
 * write of the record, which names the overlay, its identity and its layers:
 * the image, and the image's own layers.  Nobody writes to any of these from
 * then on, so the supervisor's locks on them become a reader's before that.
 * They are never given back, so nobody gets in between (P4).
 *
 * The way back is one write of the record, too, which names the layer that the
 * image was merged into, and the layers below that.  We have the lock of a
 * writer on it since the merge began (merge.c).
 *
 * The overlay's header names its backing file, and an image is input (P6).  So
 * the layers do not come from the overlay but from the record of the image, and
 * a server refuses an overlay that names other files.
 */
#include <stdio.h>
#include <string.h>

#include "plugin/common/log.h"
#include "plugin/supervisor/watch.h"

static int append_read_only(struct layers *layers, const struct qcow_layer *old)
{
	const struct qcow_layer layer = {
		.path = old->path,
		.identity = old->identity,
	};

	return layers_append(layers, &layer);
}

int move_plan(const struct supervisor *sv, const char *image, struct move *move)
{
	const struct qcow_layer below = {
		.path = sv->disk.image,
		.identity = sv->disk.identity,
	};
	unsigned int i;
	int ret;

	move_clear(move);
	snprintf(move->image, sizeof(move->image), "%s", image);
	ret = qcow_identify_path(image, &move->identity);
	if (!ret)
		ret = append_read_only(&move->layers, &below);
	for (i = 0; !ret && i < sv->layers.count; i++)
		ret = append_read_only(&move->layers, &sv->layers.list[i]);
	move->layers.known = !ret;
	if (ret)
		move_clear(move);
	return ret;
}

void move_clear(struct move *move)
{
	layers_clear(&move->layers);
}

void move_describe(const struct supervisor *sv, const struct move *move,
		   struct disk *disk)
{
	*disk = sv->disk;
	memcpy(disk->image, move->image, sizeof(disk->image));
	disk->identity = move->identity;
}

void move_lower_locks(struct supervisor *sv)
{
	unsigned int i;

	qcow_lock_lower(sv->image_lock);
	for (i = 0; i < sv->layers.count; i++)
		if (sv->layers.list[i].written)
			qcow_lock_lower(sv->layer_locks[i]);
}

void move_raise_locks(struct supervisor *sv)
{
	struct qcow_error error;
	unsigned int i;
	int ret = qcow_lock_raise(sv->image_lock, &error);

	for (i = 0; !ret && i < sv->layers.count; i++)
		if (sv->layers.list[i].written)
			ret = qcow_lock_raise(sv->layer_locks[i], &error);
	/* The server's own locks keep other writers out. */
	if (ret)
		log_line(LOG_WARNING, "cannot lock its image again: %s",
			 error.text);
}

/* The lock of the image becomes that of the first layer. */
static void use_lock(struct supervisor *sv, struct qcow_lock *lock)
{
	memmove(sv->layer_locks + 1, sv->layer_locks,
		sizeof(sv->layer_locks) - sizeof(sv->layer_locks[0]));
	sv->layer_locks[0] = sv->image_lock;
	sv->image_lock = lock;
}

static void use_record(struct supervisor *sv, const struct disk *disk,
		       struct move *move)
{
	struct layers old = sv->layers;

	sv->disk = *disk;
	sv->layers = move->layers;
	memset(&move->layers, 0, sizeof(move->layers));
	layers_clear(&old);
	log_about(&sv->disk);
}

int move_make(struct supervisor *sv, struct move *move,
	      struct qcow_error *error)
{
	struct qcow_lock *lock;
	struct disk disk;
	int ret = qcow_lock(move->image, &move->identity, false, true, &lock,
			    error);

	if (ret)
		return ret;
	move_describe(sv, move, &disk);
	ret = disk_save(&disk, &move->layers);
	if (ret) {
		snprintf(error->text, sizeof(error->text),
			 "cannot write its record: %s", strerror(-ret));
		qcow_unlock(lock);
		return ret;
	}
	use_lock(sv, lock);
	use_record(sv, &disk, move);
	return 0;
}

static int plan_down(const struct supervisor *sv, struct move *move)
{
	const struct qcow_layer *below = &sv->layers.list[sv->disk.merging - 1];
	unsigned int i;
	int ret = 0;

	move_clear(move);
	snprintf(move->image, sizeof(move->image), "%s", below->path);
	move->identity = below->identity;
	for (i = 0; !ret && i + 1 < sv->disk.merging; i++)
		ret = layers_append_merged(&move->layers, &sv->layers.list[i]);
	for (i = sv->disk.merging; !ret && i < sv->layers.count; i++)
		ret = append_read_only(&move->layers, &sv->layers.list[i]);
	move->layers.known = !ret;
	return ret;
}

static void describe_down(const struct supervisor *sv, const struct move *move,
			  struct disk *disk)
{
	move_describe(sv, move, disk);
	disk->merging = 0;
	disk->merge_done = 0;
	disk->merged = false;
	memcpy(disk->merged_from, sv->disk.image, sizeof(disk->merged_from));
	disk->merged_identity = sv->disk.identity;
	disk->merged_marked = false;
}

/* The lock of that layer becomes the image's. */
static void use_layer_lock(struct supervisor *sv, unsigned int place)
{
	unsigned int i;

	qcow_unlock(sv->image_lock);
	for (i = 0; i + 1 < place; i++)
		qcow_unlock(sv->layer_locks[i]);
	sv->image_lock = sv->layer_locks[place - 1];
	for (i = 0; i < QCOW_FILES_MAX; i++)
		sv->layer_locks[i] = i + place < QCOW_FILES_MAX ?
					     sv->layer_locks[i + place] :
					     NULL;
}

int move_down(struct supervisor *sv)
{
	const unsigned int place = sv->disk.merging;
	int ret = plan_down(sv, &sv->move);
	struct disk disk;

	describe_down(sv, &sv->move, &disk);
	if (!ret)
		ret = disk_save(&disk, &sv->move.layers);
	if (ret) {
		move_clear(&sv->move);
		return ret;
	}
	use_layer_lock(sv, place);
	use_record(sv, &disk, &sv->move);
	return 0;
}
