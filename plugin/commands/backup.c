// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * `backup`: a copy of a disk that is in use, as the disk is at one moment.
 *
 *	snapshot	the disk gets an overlay, and its image stays as it is
 *	copy		the image, to FILE.part
 *	name		FILE.part becomes FILE, when all of it is durable
 *	commit		the overlay is merged into the image again
 *	remove		the overlay, which nobody needs any more
 *
 * At any time the disk is served, from the image or from the overlay, and no
 * backup has to run for that.  The overlay's name tells its purpose.  A backup
 * that finds the disk on such an overlay goes on for the backup before, with
 * the same moment.  `commit` gives a backup up.  A copy that fails does so,
 * too.
 *
 * The copy takes long, so the disk is not locked meanwhile.  Another command
 * may try to merge the overlay then, or remove the disk and have its image
 * written to.  The locks that qemu-img has on the image forbid both writes
 * (P4).
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "plugin/commands/change.h"
#include "plugin/commands/command.h"
#include "plugin/commands/copy.h"
#include "plugin/commands/leftover.h"
#include "plugin/commands/options.h"
#include "plugin/commands/part.h"
#include "plugin/common/log.h"
#include "plugin/common/owner.h"
#include "plugin/common/program.h"
#include "plugin/server/fault.h"

#define LATE_COPY 5 /* s */

struct backup {
	struct disk disk; /* with the overlay, once there is one */
	char file[PATH_MAX], part[PATH_MAX];
	char image[PATH_MAX], overlay[PATH_MAX];
	uint64_t rate;
	bool told; /* the caller changes the domain, and removes the overlay */
	bool goes_on; /* a backup before this one made the overlay */
};

/* ---- the names ---- */

static int append(char path[PATH_MAX], const char *name, const char *suffix)
{
	if (snprintf(path, PATH_MAX, "%s%s", name, suffix) < PATH_MAX)
		return EXIT_SUCCESS;
	return complain("%s: %s", name, strerror(ENAMETOOLONG));
}

/* Is the disk served from the overlay of a backup?  Then the image is the
   layer below. */
static bool find_overlay(struct backup *backup)
{
	if (!layers_of_backup(&backup->disk, backup->image))
		return false;
	snprintf(backup->overlay, PATH_MAX, "%s", backup->disk.image);
	return true;
}

static int choose_names(struct backup *backup, const char *file)
{
	struct stat st;

	if (change_new_path(file, backup->file) ||
	    append(backup->part, backup->file, ".part"))
		return EXIT_FAILURE;
	/* A link that leads nowhere would be in the way, too. */
	if (!lstat(backup->file, &st))
		return complain("%s: %s", backup->file, strerror(EEXIST));
	backup->goes_on = find_overlay(backup);
	if (backup->goes_on)
		return EXIT_SUCCESS;
	snprintf(backup->image, PATH_MAX, "%s", backup->disk.image);
	return append(backup->overlay, backup->image, BACKUP_SUFFIX);
}

/* ---- before anything is changed ---- */

/* Nothing can be merged into an image that has a data file. */
static bool has_data_file(const struct disk *disk)
{
	struct layers layers = { .known = false };
	bool found = *disk->options.data_file;
	unsigned int i;

	disk_load_layers(disk->id, &layers);
	for (i = 0; i < layers.count; i++)
		found |= layers.list[i].written;
	layers_clear(&layers);
	return found;
}

static int check_disk(const struct disk *disk, bool told)
{
	char program[PATH_MAX];
	struct owner owner;
	int ret = told ? -ENOENT : owner_find_user(disk, &owner);

	if (disk->merging)
		return command_complain(disk,
					"is just being merged; 'ublk-qcow2 "
					"commit %d' waits for the end of that",
					disk->id);
	if (ret && ret != -ENOENT)
		return change_blind(disk, ret);
	if (!ret)
		return command_complain(disk,
					"the domain %s names its image; run "
					"'ublk-qcow2 libvirt backup %s', which "
					"changes the domain, too",
					owner.domain, owner.domain);
	if (has_data_file(disk))
		return command_complain(disk,
					"has a data file, and an overlay could "
					"not be merged into that again");
	if (program_find("qemu-img", program))
		return complain("qemu-img is not installed; it makes the copy");
	return EXIT_SUCCESS;
}

/* A backup was killed after its overlay was merged, or before the overlay was
   used. */
static int clear_overlay(const struct backup *backup)
{
	switch (leftover_look(&backup->disk, backup->overlay)) {
	case LEFTOVER_MERGED:
		return leftover_remove(backup->overlay);
	case LEFTOVER_OTHER:
		return command_complain(
			&backup->disk,
			"%s is in the way, and has bytes of its own; if no "
			"disk needs these, remove it",
			backup->overlay);
	default:
		return EXIT_SUCCESS;
	}
}

static int prepare(struct backup *backup, const char *file)
{
	if (check_disk(&backup->disk, backup->told) ||
	    choose_names(backup, file) || part_make(backup->part))
		return EXIT_FAILURE;
	fault_die("die-parted");
	if (backup->goes_on ||
	    (!clear_overlay(backup) &&
	     !snapshot_take(&backup->disk, backup->overlay, backup->told)))
		return EXIT_SUCCESS;
	unlink(backup->part);
	return EXIT_FAILURE;
}

/* ---- the copy ---- */

static void tell_begin(const struct backup *backup)
{
	const char *what = backup->goes_on ?
				   "a backup goes on, of an earlier moment" :
				   "is being copied";

	if (backup->told)
		say("/dev/ublkb%d: %s; if this is interrupted, run it again, "
		    "or 'ublk-qcow2 libvirt commit' to give it up",
		    backup->disk.id, what);
	else
		say("/dev/ublkb%d: %s; if this is interrupted, run it again, "
		    "or 'ublk-qcow2 commit %d' to give it up",
		    backup->disk.id, what, backup->disk.id);
}

static int make_copy(const struct backup *backup)
{
	struct layers layers = { .known = false };
	int ret = disk_load_layers(backup->disk.id, &layers);

	ret = ret ? command_complain(&backup->disk, "its record: %s",
				     strerror(-ret)) :
		    copy_image(backup->image, backup->part, &layers,
			       backup->rate);
	layers_clear(&layers);
	return ret;
}

static int copy(const struct backup *backup)
{
	tell_begin(backup);
	if (fault("late-copy"))
		sleep(LATE_COPY);
	if (!make_copy(backup) && !part_finish(backup->part, backup->file))
		return EXIT_SUCCESS;
	unlink(backup->part);
	return EXIT_FAILURE;
}

/* ---- the way back ---- */

static int tell_left(const struct backup *backup, const char *why)
{
	if (backup->told)
		return command_complain(
			&backup->disk,
			"%s; it is served from %s, and 'ublk-qcow2 libvirt "
			"commit' merges that into its image again",
			why, backup->overlay);
	return command_complain(&backup->disk,
				"%s; it is served from %s, and 'ublk-qcow2 "
				"commit %d' merges that into its image again",
				why, backup->overlay, backup->disk.id);
}

/* A command has given the disk another overlay during the copy. */
static bool lies_below(const struct backup *backup)
{
	struct layers layers = { .known = false };
	bool found = false;
	unsigned int i;

	disk_load_layers(backup->disk.id, &layers);
	for (i = 0; i < layers.count; i++)
		found |= !strcmp(layers.list[i].path, backup->overlay);
	layers_clear(&layers);
	return found;
}

static int begin_merge(const struct backup *backup)
{
	const struct merge_wish wish = { .rate = backup->rate,
					 .told = backup->told };

	if (!strcmp(backup->disk.image, backup->overlay))
		return commit_begin(&backup->disk, &wish) ?
			       tell_left(backup, "was not merged") :
			       EXIT_SUCCESS;
	if (!lies_below(backup))
		return EXIT_SUCCESS;
	return command_complain(&backup->disk,
				"has got another overlay meanwhile, and stays "
				"above %s; 'commit --to %s' merges both",
				backup->overlay, backup->image);
}

/* A command that has merged the overlay meanwhile has done that for us. */
static int go_back(struct backup *backup)
{
	int lock, status;
	int ret = command_lock(&backup->disk, &lock);

	if (ret == -ENOENT)
		return complain("%s: its disk was removed meanwhile; add %s, "
				"and run 'ublk-qcow2 commit'",
				backup->overlay, backup->overlay);
	if (ret)
		return tell_left(backup, "another command works on it");
	status = begin_merge(backup);
	close(lock);
	fault_die("die-committing");
	if (status)
		return status;
	if (!strcmp(backup->disk.image, backup->overlay))
		status = commit_wait(&backup->disk);
	fault_die("die-committed");
	if (!status && !backup->told)
		status = leftover_remove_merged(backup->overlay);
	return status;
}

/* The backup before this one was killed while its overlay was merged: that is
   the supervisor's work, and goes on. */
static int end_merge(struct backup *backup, const char *subject, int *lock)
{
	if (!backup->disk.merging || !find_overlay(backup))
		return EXIT_SUCCESS;
	close(*lock);
	if (commit_wait(&backup->disk))
		return EXIT_FAILURE;
	return command_find(subject, &backup->disk, lock);
}

static int backup(struct backup *backup, const char *file, int lock)
{
	int status = prepare(backup, file);
	int back;

	close(lock);
	if (status)
		return status;
	status = copy(backup);
	back = go_back(backup);
	if (!status)
		say("/dev/ublkb%d: %s is a copy of it", backup->disk.id,
		    backup->file);
	return status || back ? EXIT_FAILURE : EXIT_SUCCESS;
}

int command_backup(const struct options *options)
{
	struct backup work = {
		.rate = options->disk.bandwidth,
		.told = options->domain_told,
	};
	int lock;

	if (command_begin(options->subject) ||
	    command_find(options->subject, &work.disk, &lock) ||
	    end_merge(&work, options->subject, &lock))
		return EXIT_FAILURE;
	return backup(&work, options->subjects[1], lock);
}
