// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * `commit`: a disk that is in use loses its overlay, which is merged into the
 * image below.
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

#define INTERVAL      100   /* ms */
#define LOOK_PATIENCE 10000 /* ms */

/* ---- the layer below ---- */

struct look {
	uint64_t size;
	unsigned int backing; /* how many have come */
	char *text;
};

static void note_part(void *opaque, const struct qcow_part *part)
{
	struct look *look = opaque;

	look->backing += part->role == QCOW_ROLE_BACKING;
	if (look->backing != 1 || *look->text)
		return;
	if (part->role == QCOW_ROLE_DATA_FILE)
		snprintf(look->text, JOB_TEXT_MAX,
			 "the image below has a data file");
	else if (strcmp(part->format, "qcow2"))
		snprintf(look->text, JOB_TEXT_MAX,
			 "%.400s, which is below, is no qcow2 image",
			 part->path);
	else if (part->size > look->size)
		snprintf(look->text, JOB_TEXT_MAX,
			 "the image below has %" PRIu64
			 " bytes, and the disk only %" PRIu64,
			 part->size, look->size);
}

static int look_job(const void *argument, char *text)
{
	const struct disk *disk = argument;
	struct look look = { .size = disk->size, .text = text };
	struct qcow_references references;
	const struct jail jail = {
		.image = disk->image,
		.references = &references,
	};
	struct qcow_error error;
	int ret = references_read(&disk->options, &references, &error);

	if (!ret)
		ret = jail_enter_for(&jail);
	if (!ret)
		ret = qcow_list_parts(disk->image, &references, note_part,
				      &look, &error);
	references_free(&references);
	return *text ? 1 : 0;
}

/* The server finds out the rest. */
static int check_layer(const struct disk *disk)
{
	char text[JOB_TEXT_MAX];
	struct job job;

	if (job_start(&job, look_job, disk, true))
		return EXIT_SUCCESS;
	if (!process_wait(job.pidfd, LOOK_PATIENCE)) {
		job_abandon(&job);
		return EXIT_SUCCESS;
	}
	if (job_finish(&job, text) != 1)
		return EXIT_SUCCESS;
	return command_complain(disk, "%s", text);
}

/* ---- a domain and files that name the image ---- */

static int check_domain(const struct disk *disk)
{
	struct owner owner;

	if (owner_find_user(disk, &owner))
		return EXIT_SUCCESS;
	return command_complain(disk,
				"the domain %s names its image; run "
				"'ublk-qcow2 libvirt commit %s', which changes "
				"the domain, too",
				owner.domain, owner.domain);
}

/* The supervisor will change the disk's own file, and no other. */
static int check_files(const struct disk *disk)
{
	char text[CONF_TEXT_MAX];
	int ret = conf_check_image(disk->name, disk->image, text);

	if (ret && ret != -ENOENT)
		return complain("%s", text);
	return change_check_others(disk);
}

/* ---- the beginning ---- */

int commit_begin(const struct disk *disk, uint64_t rate, bool told)
{
	struct change change = { .kind = CHANGE_MERGE, .size = rate };
	struct owner owner;

	if (disk->merging && rate && rate != disk->merge_rate)
		return command_complain(disk,
					"is being merged already, with another "
					"bandwidth; run 'ublk-qcow2 commit "
					"--cancel %d' first",
					disk->id);
	/* Then only the wait is left. */
	if (disk->merging)
		return EXIT_SUCCESS;
	if (told && !owner_find_user(disk, &owner))
		snprintf(change.image, sizeof(change.image), "%s",
			 owner.domain);
	if ((!told && check_domain(disk)) || check_files(disk) ||
	    check_layer(disk))
		return EXIT_FAILURE;
	return change_disk(disk, &change);
}

/* ---- the wait ---- */

/* The disk at a moment. */
struct sight {
	int error;  /* -errno: it could not be looked at */
	bool gone;  /* there is no such disk any more */
	bool alone; /* it has no supervisor */
	struct disk disk;
};

static void look_at(const struct disk *disk, struct sight *sight)
{
	sight->error = disk_load(disk->id, &sight->disk);
	sight->gone = sight->error == -ENOENT ||
		      (!sight->error && sight->disk.nonce != disk->nonce);
	sight->alone = !sight->error && !process_alive(&sight->disk.supervisor);
}

static bool is_over(const struct sight *sight)
{
	const struct disk *now = &sight->disk;

	return sight->error || sight->gone || sight->alone ||
	       now->state == DISK_FAILED ||
	       (!now->merging && now->state == DISK_LIVE);
}

static int tell_merged(const struct disk *disk, const struct disk *now)
{
	if (now->state != DISK_LIVE)
		return command_complain(disk,
					"is merged, but nobody serves it; run "
					"'ublk-qcow2 recover %d'",
					disk->id);
	printf("/dev/ublkb%d: is served from %s now; %s is no longer needed, "
	       "and would be refused\n",
	       disk->id, now->image, disk->image);
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
		return tell_merged(disk, now);
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
	struct sight sight;
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
	struct disk disk;
	int lock, status;

	if (command_begin(options->subject) ||
	    command_find(options->subject, &disk, &lock))
		return EXIT_FAILURE;
	if (options->cancel)
		status = change_disk(&disk, &cancel);
	else
		status = commit_begin(&disk, options->disk.bandwidth,
				      options->domain_told);
	close(lock);
	if (status || options->cancel)
		return status;
	return commit_wait(&disk);
}
