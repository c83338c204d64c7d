// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * `backup` and `commit`: a disk of a running domain is copied, or its overlay
 * merged into the image below.
 *
 * The domain's <metadata> name the image, for the hook to serve it at the next
 * start; whatever dies, they never name one that is out of date and would be
 * served:
 *
 *	metadata	name the overlay, which shows the image
 *	disk		gets the overlay
 *	disk		is merged into the image, and served from that
 *	metadata	name the image
 *
 * Between the last two they name an overlay that was merged.  It is marked, so
 * that a domain that starts then is refused, and told of the image.  The same
 * command, once more, goes on.
 */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plugin/common/disk-number.h"
#include "plugin/common/log.h"
#include "plugin/common/overlay.h"
#include "plugin/common/state.h"
#include "plugin/libvirt/change.h"
#include "plugin/libvirt/connection.h"

struct backup {
	const struct plug *plug;
	struct disk disk;
	char target[32], id[16];
	char image[PATH_MAX], overlay[PATH_MAX];
	bool goes_on; /* the disk has the overlay */
};

static int begin(const struct plug *plug, struct backup *backup)
{
	const char *rate = plug->options->bandwidth;
	const struct disk_number *number = disk_number_of_key("bandwidth");
	struct disk_options options;

	if (rate && !disk_number_take(number, rate, &options))
		return complain("%s: '%s' is no bandwidth", plug->name, rate);
	if (!plug->live)
		return complain("%s: is not running; use qemu-img", plug->name);
	backup->plug = plug;
	if (change_find_disk(plug, plug->options->subjects[1], &backup->disk,
			     backup->target))
		return EXIT_FAILURE;
	snprintf(backup->id, sizeof(backup->id), "%d", backup->disk.id);
	return EXIT_SUCCESS;
}

/* Runs the command for the disk, whose last words are these. */
static int run(const struct backup *backup, const char *command,
	       const char *word)
{
	const char *rate = backup->plug->options->bandwidth;
	const char *to = backup->plug->options->to;
	const char *arguments[10] = { command, backup->id };
	size_t n = 2;

	if (word)
		arguments[n++] = word;
	arguments[n++] = "--domain-told";
	if (rate && strcmp(command, "snapshot") != 0) {
		arguments[n++] = "--bandwidth";
		arguments[n++] = rate;
	}
	if (*to) {
		arguments[n++] = "--to";
		arguments[n++] = to;
	}
	return change_run(arguments);
}

/* ---- backup ---- */

/* An image may have such a name without being such an overlay. */
static int choose_names(struct backup *backup)
{
	const char *image = backup->disk.image;

	backup->goes_on = layers_of_backup(&backup->disk, backup->image);
	if (!backup->goes_on)
		snprintf(backup->image, PATH_MAX, "%s", image);
	if (snprintf(backup->overlay, PATH_MAX, "%s" BACKUP_SUFFIX,
		     backup->image) < PATH_MAX)
		return EXIT_SUCCESS;
	return complain("%s: its name is too long for another", image);
}

static int freeze(const struct plug *plug)
{
	if (virDomainFSFreeze(plug->domain, NULL, 0, 0) >= 0)
		return EXIT_SUCCESS;
	return complain("%s: the guest's agent does not freeze its file "
			"systems: %s",
			plug->name, connection_error());
}

static int thaw(const struct plug *plug)
{
	if (virDomainFSThaw(plug->domain, NULL, 0, 0) >= 0)
		return EXIT_SUCCESS;
	return complain("%s: the guest's agent does not thaw its file "
			"systems: %s; run 'virsh domfsthaw'",
			plug->name, connection_error());
}

/* The moment of the backup, with the guest's file systems frozen. */
static int take_moment(const struct backup *backup)
{
	sigset_t old;
	int ret;

	change_hold_signals(&old);
	ret = freeze(backup->plug);
	if (!ret) {
		ret = run(backup, "snapshot", backup->overlay);
		ret = thaw(backup->plug) || ret;
	}
	change_release_signals(&old);
	return ret ? EXIT_FAILURE : EXIT_SUCCESS;
}

static int copy(const struct backup *backup)
{
	const struct plug *plug = backup->plug;
	int ret, followed;

	if (!backup->goes_on &&
	    change_check(plug, &backup->disk, backup->overlay))
		return EXIT_FAILURE;
	ret = change_names(plug, &backup->disk, backup->image, backup->overlay);
	if (!ret && plug->options->quiesce && !backup->goes_on)
		ret = take_moment(backup);
	if (!ret)
		ret = run(backup, "backup", plug->options->subjects[2]);
	followed = change_follow(plug, &backup->disk, backup->overlay, ret);
	/* Nothing names it any more.  If somebody has given the disk another
	   overlay meanwhile, this one was not merged, and stays. */
	if (!ret && !followed)
		followed = overlay_remove_merged(backup->overlay);
	return ret || followed ? EXIT_FAILURE : EXIT_SUCCESS;
}

int command_backup(const struct libvirt_options *options)
{
	struct backup backup;
	struct plug plug;
	int ret = plug_begin(&plug, options);

	if (!ret)
		ret = begin(&plug, &backup) || choose_names(&backup) ||
		      copy(&backup);
	plug_end(&plug);
	return ret;
}

/* ---- commit ---- */

int command_commit(const struct libvirt_options *options)
{
	struct backup backup;
	struct plug plug;
	int ret = plug_begin(&plug, options), followed;

	if (!ret)
		ret = begin(&plug, &backup) ||
		      change_check(&plug, &backup.disk, backup.disk.image);
	if (!ret) {
		ret = run(&backup, "commit", NULL);
		followed = change_follow(&plug, &backup.disk, backup.disk.image,
					 ret);
		ret = ret || followed;
	}
	plug_end(&plug);
	return ret;
}
