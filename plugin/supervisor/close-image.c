// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Closing an image in the stead of its server.
 *
 * A server that was killed leaves a journal.  Only an open replays it, and a
 * clean close takes the mark from the image.  So the image is opened as the
 * next server would open it, with the layers that are known, and closed at
 * once. The journal goes last: as long as there is one, an `add` can do the
 * same.
 *
 * The image may be gone: deleted, moved, or another file has its name.  Then
 * nothing can be replayed.  The journal stays for the day on which the image
 * comes back, unless an admin gives it up.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "plugin/common/log.h"
#include "plugin/common/references.h"
#include "plugin/supervisor/teardown.h"

static void tell_notice(void *opaque, const char *line)
{
	(void)opaque;
	log_line(LOG_NOTICE, "%s", line);
}

/* As the server would open it; merge_into: a merge was begun. */
static int open_image(const struct disk *disk, const struct layers *layers,
		      bool locked, bool unbroken, unsigned int merge_into,
		      struct qcow_image **image, struct qcow_error *error)
{
	struct qcow_references references = { .none = true };
	struct qcow_options options = {
		.cache = disk->options.writeback ? QCOW_CACHE_WRITEBACK :
						   QCOW_CACHE_NONE,
		.locking = locked ? QCOW_LOCK_JOIN : QCOW_LOCK_TEST,
		.unbroken = unbroken,
		.identity = disk->identity,
		.layers = layers->known ? layers->list : NULL,
		.nr_layers = layers->count,
		.key_file = disk_key_file(&disk->options),
		.references = &references,
		.merge_into = merge_into,
		.notice = tell_notice,
	};
	int ret = 0;

	if (!layers->known)
		ret = references_read(&disk->options, &references, error);
	if (!ret)
		ret = qcow_open(disk->image, &options, image, error);
	references_free(&references);
	return ret;
}

/* The image was deleted, or moved, or another file has its name. */
static bool image_is_gone(const struct disk *disk)
{
	struct qcow_identity now;
	int ret = qcow_identify_path(disk->image, &now);

	return ret == -ENOENT ||
	       (!ret && (now.device != disk->identity.device ||
			 now.inode != disk->identity.inode ||
			 now.birth != disk->identity.birth));
}

/* Writes that were acknowledged and not flushed are lost with it, as was asked
   for. */
static int forget_journal(const struct disk *disk)
{
	int ret = qcow_forget_journal(&disk->identity, NULL);

	log_line(ret ? LOG_ERR : LOG_WARNING,
		 "the image of /dev/ublkb%d, %s, is gone; its journal %s%s",
		 disk->id, disk->image,
		 ret ? "cannot be removed: " : "is removed",
		 ret ? strerror(-ret) : "");
	return ret;
}

int teardown_close_image(const struct disk *disk, const struct layers *layers,
			 bool locked, bool unbroken, bool give_up,
			 char text[JOB_TEXT_MAX])
{
	unsigned int merge_into = layers->known ? disk->merging : 0;
	struct qcow_image *image;
	struct qcow_error error;
	int ret;

	/* A read-only disk has no journal. */
	if (disk->options.read_only)
		return 0;
	ret = open_image(disk, layers, locked, unbroken, merge_into, &image,
			 &error);
	/* The disk does not need the bytes that were merged. */
	if (ret && merge_into) {
		merge_into = 0;
		ret = open_image(disk, layers, locked, unbroken, 0, &image,
				 &error);
	}
	if (ret && give_up && image_is_gone(disk))
		return forget_journal(disk);
	if (ret) {
		snprintf(text, JOB_TEXT_MAX,
			 "the image could not be closed cleanly: %.400s",
			 error.text);
		return ret;
	}
	ret = qcow_close(image);
	if (ret) {
		snprintf(text, JOB_TEXT_MAX,
			 "the image could not be closed cleanly: %s; its "
			 "journal stays for the next `ublk-qcow2 add`",
			 strerror(-ret));
		return ret;
	}
	/* A server that closed it before us had no path to its journal. */
	ret = qcow_forget_journal(&disk->identity, NULL);
	if (!ret && merge_into)
		ret = qcow_forget_journal(
			&layers->list[merge_into - 1].identity, NULL);
	if (ret)
		snprintf(text, JOB_TEXT_MAX,
			 "its journal could not be removed: %s; nothing in it "
			 "is needed",
			 strerror(-ret));
	return ret;
}
