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
 * The image is input (P6), so a child in a jail opens and closes it.  This
 * process puts the engine's messages into the log.
 *
 * The image may be gone: deleted, moved, or another file has its name.  Then
 * nothing can be replayed.  The journal stays for the day on which the image
 * comes back, unless an admin gives it up.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "plugin/common/conf.h"
#include "plugin/common/jail.h"
#include "plugin/common/log.h"
#include "plugin/common/references.h"
#include "plugin/supervisor/mark.h"
#include "plugin/supervisor/teardown.h"
#include "qcow/names.h"

#define NOTICES_SIZE 4096

struct closing {
	const struct disk *disk;
	const struct layers *layers;
	bool locked;
	bool unbroken;
	unsigned int merge_into; /* a merge was begun */
	char *notices;		 /* shared with the child; lines */
};

/* How the child ended. */
enum { CLOSED, CLOSED_APART, NOT_OPENED, NOT_CLOSED };

/* ---- the child ---- */

static void note(void *opaque, const char *line)
{
	char *notices = opaque;
	size_t length = strlen(notices);

	snprintf(notices + length, NOTICES_SIZE - length, "%s\n", line);
}

/* The layer that is merged into is written, too. */
static int confine(const struct closing *closing,
		   const struct qcow_references *references)
{
	struct qcow_layer layers[QCOW_FILES_MAX];
	const struct jail jail = {
		.image = closing->disk->image,
		.write = true,
		.references = references,
		.layers = layers,
		.nr_layers = closing->layers->count,
		.key_file = disk_key_file(&closing->disk->options),
	};

	memcpy(layers, closing->layers->list, sizeof(layers));
	if (closing->merge_into)
		layers[closing->merge_into - 1].written = true;
	return jail_enter_for(&jail);
}

/* As the server would open it. */
static int open_image(const struct closing *closing, unsigned int merge_into,
		      const struct qcow_references *references,
		      struct qcow_image **image, struct qcow_error *error)
{
	const struct disk *disk = closing->disk;
	const struct layers *layers = closing->layers;
	const struct qcow_options options = {
		.cache = disk->options.writeback ? QCOW_CACHE_WRITEBACK :
						   QCOW_CACHE_NONE,
		.locking = closing->locked ? QCOW_LOCK_JOIN : QCOW_LOCK_TEST,
		.unbroken = closing->unbroken,
		.identity = disk->identity,
		.layers = layers->known ? layers->list : NULL,
		.nr_layers = layers->count,
		.key_file = disk_key_file(&disk->options),
		.references = references,
		.merge_into = merge_into,
		.notice = note,
		.opaque = closing->notices,
	};

	return qcow_open(disk->image, &options, image, error);
}

/* The disk does not need the bytes that were merged. */
static int open_and_close(const struct closing *closing,
			  const struct qcow_references *references, char *text)
{
	int status = CLOSED, ret;
	struct qcow_image *image;
	struct qcow_error error;

	ret = open_image(closing, closing->merge_into, references, &image,
			 &error);
	if (ret && closing->merge_into) {
		status = CLOSED_APART;
		ret = open_image(closing, 0, references, &image, &error);
	}
	if (ret) {
		snprintf(text, JOB_TEXT_MAX, "%.400s", error.text);
		return NOT_OPENED;
	}
	ret = qcow_close(image);
	if (!ret)
		return status;
	snprintf(text, JOB_TEXT_MAX, "%s", strerror(-ret));
	return NOT_CLOSED;
}

static int close_job(const void *argument, char *text)
{
	const struct closing *closing = argument;
	struct qcow_references references = { .none = true };
	struct qcow_error error;
	int status = NOT_OPENED, ret = 0;

	if (!closing->layers->known)
		ret = references_read(&closing->disk->options, &references,
				      &error);
	if (ret) {
		snprintf(text, JOB_TEXT_MAX, "%.400s", error.text);
		return NOT_OPENED;
	}
	ret = confine(closing, &references);
	if (ret)
		snprintf(text, JOB_TEXT_MAX,
			 "the process that closes it cannot confine itself: "
			 "%s",
			 strerror(-ret));
	else
		status = open_and_close(closing, &references, text);
	references_free(&references);
	return status;
}

/* ---- the process that has it closed ---- */

static void tell_notices(char *notices)
{
	char *line;

	/* They are an engine's word on a stranger's image. */
	notices[NOTICES_SIZE - 1] = '\0';
	while ((line = strsep(&notices, "\n")))
		if (*line)
			log_line(LOG_NOTICE, "%s", line);
}

/* Returns as the child does. */
static int close_apart(struct closing *closing, char text[JOB_TEXT_MAX])
{
	void *notices = mmap(NULL, NOTICES_SIZE, PROT_READ | PROT_WRITE,
			     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int status;

	if (notices == MAP_FAILED) {
		snprintf(text, JOB_TEXT_MAX, "%s", strerror(errno));
		return NOT_OPENED;
	}
	closing->notices = notices;
	status = job_run(close_job, closing, text);
	tell_notices(notices);
	munmap(notices, NOTICES_SIZE);
	return status;
}

/* The image was deleted, or moved, or another file has its name. */
static bool image_is_gone(const struct disk *disk)
{
	struct qcow_identity now;
	int ret = qcow_identify_path(disk->image, &now);

	return ret == -ENOENT ||
	       (!ret && !identity_matches(&now, &disk->identity));
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

static int fail(int status, char text[JOB_TEXT_MAX])
{
	char why[400];

	snprintf(why, sizeof(why), "%.399s",
		 *text ? text : "the process that closes it has died");
	snprintf(text, JOB_TEXT_MAX,
		 "the image could not be closed cleanly: %s%s", why,
		 status == NOT_CLOSED ? "; its journal stays for the next "
					"`ublk-qcow2 add`" :
					"");
	return -EIO;
}

/* A server that closed it before us had no path to its journal. */
static int forget_journals(const struct closing *closing, int status,
			   char text[JOB_TEXT_MAX])
{
	const unsigned int merged = status == CLOSED ? closing->merge_into : 0;
	int ret = qcow_forget_journal(&closing->disk->identity, NULL);

	if (!ret && merged)
		ret = qcow_forget_journal(
			&closing->layers->list[merged - 1].identity, NULL);
	if (ret)
		snprintf(text, JOB_TEXT_MAX,
			 "its journal could not be removed: %s; nothing in it "
			 "is needed",
			 strerror(-ret));
	return ret;
}

/* The disk had to be removed when its overlay was merged and not marked yet. */
static void mark_apart(const struct disk *disk, const struct layers *layers)
{
	const struct mark mark = { disk, layers };
	char text[JOB_TEXT_MAX] = "";

	if (!*disk->merged_from || disk->merged_marked)
		return;
	if (job_run(mark_overlay, &mark, text) != MARKED)
		mark_failed(disk, *text ? text : "the process has died");
}

/* The disk had to be removed when image and layer were equal: disks.d may name
   the layer by now.  The disk is the image's still, and nobody marks it. */
static void name_image(const struct disk *disk, const struct layers *layers)
{
	char why[CONF_TEXT_MAX];
	int ret;

	if (!disk->merged || !disk->merging || !layers->known)
		return;
	ret = conf_change_image(disk->name,
				layers->list[disk->merging - 1].path,
				disk->image, why);
	if (ret && ret != -ENOENT && ret != -EINVAL)
		log_line(LOG_WARNING, "%s; it must not name %s", why,
			 layers->list[disk->merging - 1].path);
}

int teardown_close_image(const struct disk *disk, const struct layers *layers,
			 bool locked, bool unbroken, bool give_up,
			 char text[JOB_TEXT_MAX])
{
	struct closing closing = {
		.disk = disk,
		.layers = layers,
		.locked = locked,
		.unbroken = unbroken,
		.merge_into = layers->known ? disk->merging : 0,
	};
	int status;

	mark_apart(disk, layers);
	name_image(disk, layers);
	/* A read-only disk has no journal. */
	if (disk->options.read_only)
		return 0;
	*text = '\0';
	status = close_apart(&closing, text);
	if (status == NOT_OPENED && give_up && image_is_gone(disk))
		return forget_journal(disk);
	if (status != CLOSED && status != CLOSED_APART)
		return fail(status, text);
	return forget_journals(&closing, status, text);
}
