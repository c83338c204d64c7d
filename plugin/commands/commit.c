// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * `commit`: a disk that is in use loses its overlay, which is merged into the
 * image below; or the overlay and some images below are merged into one further
 * below.
 *
 * The supervisor has its servers do it (supervisor/merge.c), and goes on even
 * if this command ends.  The command only waits, by looking at the record, and
 * shows how far it is.  It does not keep the disk locked meanwhile: another
 * command may cancel the merge, or remove the disk.
 *
 * The headers describe the layer below, and a header is input (P6): a child in
 * a jail looks.  It only spares the disk's users the pause of a merge that
 * would be refused by the server.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "plugin/commands/bar.h"
#include "plugin/commands/change.h"
#include "plugin/commands/command.h"
#include "plugin/commands/options.h"
#include "plugin/common/conf.h"
#include "plugin/common/jail.h"
#include "plugin/common/log.h"
#include "plugin/common/owner.h"
#include "plugin/common/references.h"
#include "qcow/names.h"

#define INTERVAL      100   /* ms */
#define LOOK_PATIENCE 10000 /* ms */

/* ---- the layer below ---- */

struct look {
	const struct disk *disk;
	unsigned int place; /* of the layer, counted from 1 */
	unsigned int parts; /* how many have come */
	char *text;
};

/* A merged image must be marked in the end; a data file cannot be. */
static void note_data_file(const struct look *look, unsigned int place)
{
	if (place == look->place + 1)
		snprintf(look->text, JOB_TEXT_MAX,
			 "the image below has a data file");
	else if (place <= look->place)
		snprintf(look->text, JOB_TEXT_MAX,
			 "an image that would be merged has a data file");
}

static void note_part(void *opaque, const struct qcow_part *part)
{
	struct look *look = opaque;
	const unsigned int place = look->parts++;

	if (*look->text)
		return;
	if (part->role == QCOW_ROLE_DATA_FILE)
		note_data_file(look, place);
	else if (place != look->place)
		return;
	else if (strcmp(part->format, "qcow2"))
		snprintf(look->text, JOB_TEXT_MAX,
			 "%.400s, which is below, is no qcow2 image",
			 part->path);
	else if (part->size > look->disk->size)
		snprintf(look->text, JOB_TEXT_MAX,
			 "the image below has %" PRIu64
			 " bytes, and the disk only %" PRIu64,
			 part->size, look->disk->size);
}

static int look_job(const void *argument, char *text)
{
	struct look look = *(const struct look *)argument;
	const struct disk *disk = look.disk;
	struct qcow_references references;
	const struct jail jail = {
		.image = disk->image,
		.references = &references,
	};
	struct qcow_error error;
	int ret = references_read(&disk->options, &references, &error);

	process_mute();
	look.text = text;
	if (!ret)
		ret = jail_enter_for(&jail);
	if (!ret)
		ret = qcow_list_parts(disk->image, &references, note_part,
				      &look, &error);
	references_free(&references);
	return *text ? 1 : 0;
}

/* The server finds out the rest. */
static int check_layer(const struct disk *disk, unsigned int place)
{
	const struct look look = { .disk = disk, .place = place };
	char text[JOB_TEXT_MAX];
	struct job job;

	if (job_start(&job, look_job, &look, true))
		return EXIT_SUCCESS;
	if (!process_wait(job.pidfd, LOOK_PATIENCE)) {
		job_abandon(&job);
		return EXIT_SUCCESS;
	}
	if (job_finish(&job, text) != 1)
		return EXIT_SUCCESS;
	return command_complain(disk, "%s", text);
}

/* ---- files that name the image ---- */

/* The supervisor will change the disk's own file, and no other. */
static int check_files(const struct disk *disk, const struct layers *layers,
		       unsigned int place)
{
	char text[CONF_TEXT_MAX];
	int ret = conf_check_image(disk->name, disk->image, text);
	unsigned int i;

	if (ret && ret != -ENOENT)
		return complain("%s", text);
	if (change_check_others(disk, disk->image))
		return EXIT_FAILURE;
	for (i = 0; i + 1 < place; i++)
		if (change_check_others(disk, layers->list[i].path))
			return EXIT_FAILURE;
	return EXIT_SUCCESS;
}

/* ---- the beginning ---- */

/* Which of the images below is it?  NULL: the next one.  A device has several
   names, and the disk knows the one by which it was given. */
static int find_place(const struct disk *disk, const struct layers *layers,
		      const char *to, unsigned int *place)
{
	struct qcow_identity identity;
	char path[PATH_MAX];
	unsigned int i;
	int ret;

	*place = 1;
	if (!to)
		return EXIT_SUCCESS;
	if (!realpath(to, path))
		return complain("%s: %s", to, strerror(errno));
	ret = qcow_identify_path(path, &identity);
	if (ret)
		return complain("%s: %s", to, strerror(-ret));
	for (i = 0; layers->known && i < layers->count; i++)
		if (identity_matches(&layers->list[i].identity, &identity)) {
			*place = i + 1;
			return EXIT_SUCCESS;
		}
	return command_complain(disk,
				"%s is no image below its own; see "
				"'ublk-qcow2 list --json'",
				path);
}

static int check_same(const struct disk *disk, uint64_t rate, const char *to,
		      unsigned int place)
{
	const char *other = NULL;

	if (rate && rate != disk->merge_rate)
		other = "with another bandwidth";
	if (to && place != disk->merging)
		other = "into another image";
	if (!other)
		return EXIT_SUCCESS;
	return command_complain(disk,
				"is being merged already, %s; run 'ublk-qcow2 "
				"commit --cancel %d' first",
				other, disk->id);
}

static void plan(const struct disk *disk, uint64_t rate, bool told,
		 unsigned int place, struct change *change)
{
	struct owner owner;
	const char *domain = told && !owner_find_user(disk, &owner) ?
				     owner.domain :
				     "";

	*change = (struct change){ .kind = CHANGE_MERGE, .size = rate };
	if (place > 1) {
		change->kind = CHANGE_MERGE_TO;
		snprintf(change->image, sizeof(change->image), "%u %s", place,
			 domain);
	} else {
		snprintf(change->image, sizeof(change->image), "%s", domain);
	}
}

static int begin(const struct disk *disk, const struct layers *layers,
		 const struct merge_wish *wish)
{
	struct change change;
	unsigned int place;

	if (find_place(disk, layers, wish->to, &place))
		return EXIT_FAILURE;
	/* Then only the wait is left. */
	if (disk->merging)
		return check_same(disk, wish->rate, wish->to, place);
	if ((!wish->told && change_check_domain(disk, "commit")) ||
	    check_files(disk, layers, place) || check_layer(disk, place))
		return EXIT_FAILURE;
	plan(disk, wish->rate, wish->told, place, &change);
	return change_disk(disk, &change);
}

int commit_begin(const struct disk *disk, const struct merge_wish *wish)
{
	struct layers layers = { .known = false };
	int status;

	/* If they cannot be read, none of them is the one. */
	disk_load_layers(disk->id, &layers);
	status = begin(disk, &layers, wish);
	layers_clear(&layers);
	return status;
}

/* ---- the wait ---- */

/* The disk at a moment. */
struct sight {
	int error;    /* -errno: it could not be looked at */
	bool gone;    /* there is no such disk any more */
	bool alone;   /* it has no supervisor */
	bool between; /* it was being merged over others */
	struct disk disk;
};

static void look_at(const struct disk *disk, struct sight *sight)
{
	sight->error = disk_load(disk->id, &sight->disk);
	sight->gone = sight->error == -ENOENT ||
		      (!sight->error && sight->disk.nonce != disk->nonce);
	sight->alone = !sight->error && !process_alive(&sight->disk.supervisor);
	sight->between |= !sight->error && sight->disk.merging > 1;
}

static bool is_over(const struct sight *sight)
{
	const struct disk *now = &sight->disk;

	return sight->error || sight->gone || sight->alone ||
	       now->state == DISK_FAILED ||
	       (!now->merging && now->state == DISK_LIVE);
}

static int tell_merged(const struct disk *disk, const struct disk *now,
		       bool between)
{
	if (now->state != DISK_LIVE)
		return command_complain(disk,
					"is merged, but nobody serves it; run "
					"'ublk-qcow2 recover %d'",
					disk->id);
	say("/dev/ublkb%d: is served from %s now; %s is no longer needed, and "
	    "would be refused%s",
	    disk->id, now->image, disk->image,
	    between ? ", and so are the images between the two" : "");
	return EXIT_SUCCESS;
}

static int tell_end(const struct disk *disk, const struct sight *sight)
{
	const struct disk *now = &sight->disk;

	if (sight->gone)
		return command_complain(disk,
					"was removed before it was merged; its "
					"image is as good as before");
	if (sight->error)
		return command_complain(disk, "its record: %s",
					strerror(-sight->error));
	if (strcmp(now->image, disk->image))
		return tell_merged(disk, now, sight->between);
	if (sight->alone || now->state == DISK_FAILED)
		return command_complain(disk,
					"is not merged yet; run 'ublk-qcow2 "
					"recover %d', and the merge goes on",
					disk->id);
	return command_complain(disk, "was not merged: %s", now->merge_failure);
}

int commit_wait(const struct disk *disk)
{
	const struct timespec interval = { .tv_nsec = INTERVAL * 1000000 };
	struct sight sight = { .between = false };
	struct bar bar;

	bar_begin(&bar, true);
	for (look_at(disk, &sight); !is_over(&sight); look_at(disk, &sight)) {
		if (sight.disk.merging)
			bar_show(&bar, sight.disk.merge_done, 1000);
		nanosleep(&interval, NULL);
	}
	bar_end(&bar);
	return tell_end(disk, &sight);
}

/* ---- the command ---- */

int command_commit(const struct options *options)
{
	const struct change cancel = { .kind = CHANGE_NO_MERGE };
	const struct merge_wish wish = {
		.rate = options->disk.bandwidth,
		.told = options->domain_told,
		.to = *options->to ? options->to : NULL,
	};
	struct disk disk;
	int lock, status;

	if (command_begin(options->subject) ||
	    command_find(options->subject, &disk, &lock))
		return EXIT_FAILURE;
	if (options->cancel)
		status = change_disk(&disk, &cancel);
	else
		status = commit_begin(&disk, &wish);
	close(lock);
	if (status || options->cancel)
		return status;
	return commit_wait(&disk);
}
