// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * `snapshot`: each disk of a domain gets an overlay, all at one moment.
 *
 * The guest stands still for as long as that takes: libvirt suspends the
 * domain, after the guest's agent has frozen the guest's file systems if that
 * was asked for.  Without it, the images are as after a power failure.
 *
 * The domain's <metadata> names the images, for the hook to serve them at the
 * next start, so it is changed with each disk, in the domain that runs and in
 * its definition.  The metadata come first: an overlay that is still empty
 * shows its image, so a death between the two steps loses nothing.  If a disk
 * is not changed its entry goes back, and the disks after it stay as they are.
 *
 * No signal ends us while the guest stands still; one that has come ends us
 * then.
 */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "plugin/common/log.h"
#include "plugin/libvirt/change.h"
#include "plugin/libvirt/connection.h"
#include "plugin/libvirt/plug.h"

#define SUFFIX ".qcow2"

/* ---- the disks ---- */

/* web.qcow2 becomes web.NAME.qcow2, beside it. */
static int overlay_path(const char *image, const char *name,
			char path[PATH_MAX])
{
	const size_t length = strlen(image), suffix = strlen(SUFFIX);
	const bool has = length > suffix &&
			 !strcmp(image + length - suffix, SUFFIX);

	if (snprintf(path, PATH_MAX, "%.*s.%s" SUFFIX,
		     (int)(has ? length - suffix : length), image,
		     name) < PATH_MAX)
		return 0;
	return complain("%s: its name is too long for another", image);
}

static int change_disk(const struct plug *plug, const struct disk *disk,
		       const char *name)
{
	char id[16], overlay[PATH_MAX];
	const char *const arguments[] = { "snapshot", id, overlay,
					  "--domain-told", NULL };

	snprintf(id, sizeof(id), "%d", disk->id);
	if (overlay_path(disk->image, name, overlay))
		return EXIT_FAILURE;
	if (!change_names(plug, disk, disk->image, overlay) &&
	    !change_run(arguments))
		return 0;
	change_follow(plug, disk, overlay, true);
	return EXIT_FAILURE;
}

/* Of the disks that can be written to. */
static int each_disk(const struct plug *plug, const char *name,
		     int (*visit)(const struct plug *plug,
				  const struct disk *disk, const char *name))
{
	struct rewrite rewrite;
	struct disk disk;
	size_t i, visited = 0;
	int ret = plug_read(plug, true, REWRITE_BACK, &rewrite);

	for (i = 0; !ret && i < rewrite.nr_disks; i++) {
		const char *source = rewrite.disks[i].source;

		if (!source || !domain_is_ours(source) ||
		    disk_find(source, &disk) || disk.options.read_only)
			continue;
		ret = visit(plug, &disk, name);
		visited++;
	}
	rewrite_free(&rewrite);
	if (!ret && !visited)
		ret = complain("%s: has no disk of ublk-qcow2 that can be "
			       "written to",
			       plug->name);
	return ret;
}

/* Before the guest stands still. */
static int check_disk(const struct plug *plug, const struct disk *disk,
		      const char *name)
{
	char overlay[PATH_MAX];
	struct stat st;

	if (overlay_path(disk->image, name, overlay) ||
	    change_check(plug, disk, overlay))
		return EXIT_FAILURE;
	if (!lstat(overlay, &st))
		return complain("%s: is there already; choose another --suffix",
				overlay);
	if (!*disk->options.key_file)
		return EXIT_SUCCESS;
	return complain("%s: the disk %s is encrypted with AES, and another "
			"overlay would not be",
			plug->name, disk->name);
}

/* ---- the moment ---- */

static bool is_suspended(const struct plug *plug)
{
	int state = 0;

	return !virDomainGetState(plug->domain, &state, NULL, 0) &&
	       state != VIR_DOMAIN_RUNNING;
}

static int stand_still(const struct plug *plug, bool quiesce, bool *suspended)
{
	*suspended = false;
	if (quiesce && virDomainFSFreeze(plug->domain, NULL, 0, 0) < 0)
		return complain("%s: the guest's agent does not freeze its "
				"file systems: %s",
				plug->name, connection_error());
	if (is_suspended(plug))
		return 0;
	*suspended = !virDomainSuspend(plug->domain);
	if (*suspended)
		return 0;
	complain("%s: %s", plug->name, connection_error());
	if (quiesce)
		virDomainFSThaw(plug->domain, NULL, 0, 0);
	return EXIT_FAILURE;
}

static int go_on(const struct plug *plug, bool quiesce, bool suspended)
{
	int ret = 0;

	if (suspended && virDomainResume(plug->domain))
		ret = complain("%s: cannot be resumed: %s; run 'virsh resume'",
			       plug->name, connection_error());
	if (quiesce && virDomainFSThaw(plug->domain, NULL, 0, 0) < 0)
		ret = complain("%s: the guest's agent does not thaw its file "
			       "systems: %s; run 'virsh domfsthaw'",
			       plug->name, connection_error());
	return ret;
}

static int take(const struct plug *plug, const char *suffix)
{
	const bool quiesce = plug->options->quiesce;
	bool suspended;
	sigset_t old;
	int ret;

	change_hold_signals(&old);
	ret = stand_still(plug, quiesce, &suspended);
	if (!ret) {
		ret = each_disk(plug, suffix, change_disk);
		ret = go_on(plug, quiesce, suspended) || ret;
	}
	change_release_signals(&old);
	return ret;
}

static int snapshot(const struct plug *plug)
{
	const char *suffix = plug->options->suffix;
	char name[32];
	time_t now = time(NULL);
	struct tm tm;
	int ret;

	if (!plug->live)
		return complain("%s: is not running; make overlays with "
				"qemu-img",
				plug->name);
	strftime(name, sizeof(name), "%Y%m%d-%H%M%S", localtime_r(&now, &tm));
	suffix = suffix ?: name;
	ret = each_disk(plug, suffix, check_disk);
	return ret ? ret : take(plug, suffix);
}

int command_snapshot(const struct libvirt_options *options)
{
	struct plug plug;
	int ret = plug_begin(&plug, options);

	if (!ret)
		ret = snapshot(&plug);
	plug_end(&plug);
	return ret;
}
