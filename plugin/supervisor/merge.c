// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The image of a disk is merged into an image below, the layer, and the layer
 * takes the image's place.  Images between the two are merged, too, in one go:
 * a cluster that they hide of the layer is copied once.
 *
 * While the record says that the disk is merging, each server opens the layer
 * for writing and merges all bytes that the overlay hides.  The server leaves
 * out the bytes that servers before it have merged and settled under the same
 * locks (kept.c).  The image is the truth until a server has ended and has said
 * that the layer holds all.  Until then nobody depends on the layer's new
 * bytes: every death leads to a plain recovery, and the disk can be removed at
 * any time.
 *
 * Then image and layer are equal.  A server that writes to one of them makes
 * the other one worthless.  The record decides which one is served, and for the
 * next boot a file of disks.d does.  No single write changes both.  So for a
 * while there is no server:
 *
 *	record: merged	both will do; nobody serves either
 *	disks.d		names the layer
 *	record		names the layer, and no overlay; and apart from the
 *			chain, the images that nobody may serve any more
 *	lock		the overlay's is given up
 *	mark		in the overlay, and in the images between: nobody may
 *			serve these (merged.c)
 *	server		of the layer
 *
 * A supervisor that finds the word "merged" goes on from there, whatever the
 * file says.  If the file cannot be changed, the supervisor makes sure that the
 * file names the image, and the disk goes on with the image.  Until then nobody
 * serves the disk.
 *
 * A merge that is given up leaves a layer with a journal.  A job opens the
 * image once more for that journal, and closes image and layer.  From then on
 * the layer is only read.
 *
 * Our lock on the layer becomes a writer's as soon as the last I/O of the dead
 * server has let go of the server's lock.  When a merge is given up, our lock
 * becomes a reader's.  We never release the lock, so nobody gets in between
 * (P4).
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "plugin/common/conf.h"
#include "plugin/common/log.h"
#include "plugin/common/owner.h"
#include "plugin/server/fault.h"
#include "plugin/supervisor/teardown.h"
#include "plugin/supervisor/watch.h"

#define LOCK_PATIENCE	3000 /* ms */
#define LOCK_INTERVAL	20   /* ms */
#define RETRY_AFTER	200  /* ms */
#define DOMAIN_PATIENCE 1000 /* ms */

/* Nobody may serve an image that will be merged, nor the one that gets the
   bytes. */
static bool is_served(const struct layers *layers, unsigned int place)
{
	struct disk other;
	unsigned int i;

	for (i = 0; i < place; i++)
		if (!disk_of_image(layers->list[i].path,
				   &layers->list[i].identity, &other))
			return true;
	return false;
}

const char *merge_objection(const struct supervisor *sv, unsigned int place)
{
	const struct layers *layers = &sv->layers;

	if (sv->disk.options.read_only)
		return "is read-only";
	if (*sv->disk.options.key_file)
		return "is encrypted, and the image below might not be";
	if (!layers->known)
		return "consists of files that are not known";
	if (!layers->count)
		return "has no image below its own";
	if (layers->list[0].written)
		return "has a data file";
	if (!place || place > layers->count)
		return "has no such image below its own";
	if (is_served(layers, place))
		return "has an image below that another disk serves; remove "
		       "that disk first";
	return NULL;
}

static struct qcow_layer *layer_of(struct supervisor *sv)
{
	return &sv->layers.list[sv->disk.merging - 1];
}

/* ---- its beginning ---- */

static void use_layer(struct supervisor *sv)
{
	sv->disk.merging = sv->merge_place;
	sv->disk.merge_done = 0;
	sv->disk.merge_rate = sv->change.size;
	snprintf(sv->disk.merge_domain, sizeof(sv->disk.merge_domain), "%.255s",
		 sv->change.image);
	sv->disk.merge_failure[0] = '\0';
	layer_of(sv)->written = true;
}

static void try_lock(struct supervisor *sv)
{
	struct qcow_error error;
	const unsigned int i = sv->merge_place - 1;
	int ret = hold_raise_layer(sv, i, &error);

	if (ret == -EBUSY && clock_ms() - sv->died_at < LOCK_PATIENCE) {
		sv->deadline = clock_ms() + LOCK_INTERVAL;
		return;
	}
	if (ret && sv->disk.merging) {
		merge_drop(sv, error.text);
		return;
	}
	if (ret)
		snprintf(sv->change_text, sizeof(sv->change_text),
			 "cannot be merged into %.200s: %.200s",
			 sv->layers.list[i].path, error.text);
	else
		use_layer(sv);
	supervisor_recover(sv);
}

void merge_lock(struct supervisor *sv)
{
	supervisor_enter(sv, PHASE_CHANGING);
	try_lock(sv);
}

void merge_try_again(struct supervisor *sv)
{
	if (!merge_comes_first(sv))
		try_lock(sv);
}

void merge_hear_progress(struct supervisor *sv, uint64_t thousandths)
{
	if (!sv->disk.merging || thousandths > 1000)
		return;
	sv->disk.merge_done = thousandths;
	/* If this fails, the next progress writes the record. */
	disk_save(&sv->disk, &sv->layers);
}

void merge_hear_failure(struct supervisor *sv, const char *why)
{
	if (!sv->disk.merging)
		return;
	sv->told_failure = true;
	snprintf(sv->disk.merge_failure, sizeof(sv->disk.merge_failure),
		 "%.255s", why);
	if (sv->phase == PHASE_LIVE)
		change_end_merge(sv);
}

/* ---- given up ---- */

static int close_job(const void *argument, char *text)
{
	const struct supervisor *sv = argument;

	return teardown_close_image(&sv->disk, &sv->layers, true, sv->unbroken,
				    false, text) ?
		       1 :
		       0;
}

static void use_layer_no_more(struct supervisor *sv)
{
	const unsigned int i = sv->disk.merging - 1;

	qcow_lock_lower(sv->layer_locks[i]);
	sv->layers.list[i].written = false;
	sv->disk.merging = 0;
	sv->disk.merge_done = 0;
	supervisor_recover(sv);
}

void merge_drop(struct supervisor *sv, const char *why)
{
	char cause[sizeof(sv->disk.merge_failure)];

	/* why may point into the record, which changes below. */
	snprintf(cause, sizeof(cause), "%.255s",
		 *why ? why : "it was cancelled");
	if (*why)
		snprintf(sv->change_text, sizeof(sv->change_text),
			 "was not merged: %s; it is served as before", cause);
	memcpy(sv->disk.merge_failure, cause, sizeof(cause));
	sv->disk.merged = false;
	sv->change.kind = CHANGE_NO_MERGE;
	sv->deadline = 0;
	supervisor_enter(sv, PHASE_CHANGING);
	if (job_start(&sv->job, close_job, sv, true))
		use_layer_no_more(sv);
}

static void drop(struct supervisor *sv)
{
	char text[JOB_TEXT_MAX];

	if (job_finish(&sv->job, text))
		log_line(LOG_WARNING, "%s: is not closed: %s",
			 layer_of(sv)->path,
			 *text ? text : "it was interrupted");
	use_layer_no_more(sv);
}

/* ---- its end ---- */

struct domains {
	const struct disk *disk;
	char *text;
};

static int check_domain(const struct owner *owner, void *opaque)
{
	const struct domains *domains = opaque;
	const struct disk *disk = domains->disk;

	if (!owner_is_using(owner, disk) ||
	    !strcmp(owner->domain, disk->merge_domain))
		return 0;
	snprintf(domains->text, JOB_TEXT_MAX,
		 "the domain %.200s names its image", owner->domain);
	return 1;
}

/* A domain that begins to use the disk during the merge names the image, too,
   and we cannot change that domain.  Only merge_domain may do so: the program
   that asked for the merge changes that one.  The lock keeps another domain
   from coming before the record names the layer.  The lock ends with the job,
   so a short gap is left. */
static int check_domains(const struct disk *disk, char *text)
{
	struct domains domains = { disk, text };
	int dir, lock;
	int ret = owner_open(false, &dir);

	if (ret == -ENOENT)
		return 0;
	if (!ret)
		close(dir);
	if (owner_lock(disk->name, DOMAIN_PATIENCE, &lock)) {
		snprintf(text, JOB_TEXT_MAX,
			 "a domain begins or ends to use it");
		return 1;
	}
	ret = owner_each(check_domain, &domains);
	if (ret < 0)
		snprintf(text, JOB_TEXT_MAX,
			 "cannot see which domains use it: %s", strerror(-ret));
	return ret;
}

#define SWITCHED 0
#define REFUSED	 1 /* and the file does not name the layer */
#define UNKNOWN	 2 /* the file may name either */

static const char *layer_path(const struct supervisor *sv)
{
	return sv->layers.list[sv->disk.merging - 1].path;
}

/* An earlier attempt may have changed the file.  Nobody may serve the image
   before the next boot is certain to serve the image, too. */
static int put_back(const struct supervisor *sv)
{
	char why[CONF_TEXT_MAX];
	int ret = conf_change_image(sv->disk.name, layer_path(sv),
				    sv->disk.image, why);

	return !ret || ret == -ENOENT || ret == -EINVAL || ret == -EEXIST ?
		       REFUSED :
		       UNKNOWN;
}

static int configure_job(const void *argument, char *text)
{
	const struct supervisor *sv = argument;
	char why[CONF_TEXT_MAX];
	int ret;

	if (check_domains(&sv->disk, text))
		return put_back(sv);
	ret = conf_change_image(sv->disk.name, sv->disk.image, layer_path(sv),
				why);
	if (!ret || ret == -ENOENT)
		return SWITCHED;
	snprintf(text, JOB_TEXT_MAX, "%.500s", why);
	return put_back(sv);
}

void merge_switch(struct supervisor *sv)
{
	int ret = supervisor_enter(sv, PHASE_CHANGING);

	sv->deadline = 0;
	if (!ret && fault("die-merged"))
		raise(SIGKILL);
	if (ret || job_start(&sv->job, configure_job, sv, true))
		sv->deadline = clock_ms() + RETRY_AFTER;
}

/* Users wait while the file can be neither changed nor changed back. */
static void tell_once(struct supervisor *sv, const char *text)
{
	if (!strcmp(sv->change_text, text))
		return;
	snprintf(sv->change_text, sizeof(sv->change_text), "%s", text);
	log_line(LOG_ERR, "%s; its users wait until that can be done", text);
}

static void switch_down(struct supervisor *sv)
{
	char text[JOB_TEXT_MAX];
	int status = job_finish(&sv->job, text);

	if (status == REFUSED) {
		merge_drop(sv, text);
		return;
	}
	if (status == UNKNOWN)
		tell_once(sv, text);
	if (fault("die-configured"))
		raise(SIGKILL);
	/* The job may have changed the file or not, or there is no memory for
	   the record. */
	if (status != SWITCHED || move_down(sv)) {
		sv->deadline = clock_ms() + RETRY_AFTER;
		return;
	}
	merged_mark(sv);
}

bool merge_comes_first(struct supervisor *sv)
{
	if (sv->disk.merged)
		merge_switch(sv);
	else if (merged_is_unmarked(sv))
		merged_mark(sv);
	else
		return false;
	return true;
}

void merge_job_ended(struct supervisor *sv)
{
	if (sv->disk.merged)
		switch_down(sv);
	else if (merged_is_unmarked(sv))
		merged_job_ended(sv);
	else
		drop(sv);
}
