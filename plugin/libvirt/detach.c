// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * `detach`: takes a disk of ours from a domain.
 *
 * A guest has to let go of a disk, and may take its time, or never do it.
 * QEMU has let go of the disk only when libvirt says that the disk is out of
 * the domain's XML.  Then the command removes the disk if the domain owns it.
 *
 * A guest that lets go late leaves our entry without a disk, and with such an
 * entry the domain could not be restored.  The same command, once more, ends
 * that.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "plugin/libvirt/connection.h"
#include "plugin/libvirt/plug.h"
#include "plugin/common/log.h"

#define PATIENCE 30000 /* ms, with the guest */
#define INTERVAL 200   /* ms */

#define ATTACH_MOMENT 2 /* s */

static int choose(const struct plug *plug, struct rewrite *rewrite)
{
	char why[DOMAIN_REASON_MAX];

	if (!rewrite_choose(rewrite, plug->options->subjects[1], why))
		return 0;
	return complain("%s: %s", plug->name, why);
}

static int work_out_definition(struct plug *plug)
{
	struct rewrite rewrite;
	int ret = plug_read(plug, false, REWRITE_BACK, &rewrite);

	if (!ret)
		ret = choose(plug, &rewrite);
	if (!ret) {
		rewrite_remove(&rewrite);
		free(plug->definition);
		plug->definition = rewrite_text(&rewrite);
		if (!plug->definition)
			ret = complain("%s: out of memory", plug->name);
	}
	rewrite_free(&rewrite);
	return ret;
}

/* The name of the disk behind the path of a device or a link. */
static int note_disk(struct plug *plug, const char *source)
{
	const char *name = domain_link_name(source);
	struct disk disk;

	if (!name && !disk_find(source, &disk))
		name = disk.name;
	snprintf(plug->disk_name, sizeof(plug->disk_name), "%s", name ?: "");
	plug->source = strdup(source);
	return plug->source ? 0 : complain("%s: out of memory", plug->name);
}

static int choose_device(struct plug *plug, struct rewrite *rewrite)
{
	size_t i;
	int ret = choose(plug, rewrite);

	for (i = 0; i < rewrite->nr_disks && !ret; i++)
		if (rewrite->disks[i].chosen)
			ret = note_disk(plug, rewrite->disks[i].source);
	if (ret)
		return ret;
	plug->device = rewrite_disk_text(rewrite);
	return plug->device ? 0 : complain("%s: out of memory", plug->name);
}

static char *find_orphan(const struct plug *plug)
{
	struct rewrite rewrite;
	char *dev = NULL;

	if (!plug_read(plug, true, REWRITE_BACK, &rewrite))
		dev = rewrite_orphan(&rewrite, plug->options->subjects[1]);
	rewrite_free(&rewrite);
	return dev;
}

/* Has the guest let go since the last attempt?  `attach` makes its entry a
   moment before libvirt has the disk. */
static bool is_late(struct plug *plug)
{
	const struct timespec moment = { .tv_sec = ATTACH_MOMENT };
	char *dev = find_orphan(plug), *again = NULL;
	bool late = false;

	if (dev) {
		nanosleep(&moment, NULL);
		again = find_orphan(plug);
		late = again && !strcmp(again, dev) && !note_disk(plug, dev);
	}
	xmlFree(dev);
	xmlFree(again);
	return late;
}

/* Without a device there is nothing to unplug any more. */
static int work_out_device(struct plug *plug)
{
	struct rewrite rewrite;
	int ret;

	if (is_late(plug))
		return 0;
	ret = plug_read(plug, true, REWRITE_BACK, &rewrite);
	if (!ret)
		ret = choose_device(plug, &rewrite);
	rewrite_free(&rewrite);
	return ret;
}

static bool has_disk(const struct plug *plug)
{
	char why[DOMAIN_REASON_MAX];
	struct rewrite rewrite;
	bool has = true;

	if (!plug_read(plug, true, REWRITE_BACK, &rewrite))
		has = !rewrite_choose(&rewrite, plug->options->subjects[1],
				      why);
	rewrite_free(&rewrite);
	return has;
}

static int wait_for_guest(const struct plug *plug)
{
	const struct timespec interval = { .tv_nsec = INTERVAL * 1000000 };
	const uint64_t deadline = clock_ms() + PATIENCE;

	while (has_disk(plug)) {
		if (virDomainIsActive(plug->domain) != 1)
			return complain("%s: has ended meanwhile", plug->name);
		if (clock_ms() >= deadline)
			return complain("%s: the guest has not let go of %s "
					"after %d seconds; unmount it there "
					"and run this again",
					plug->name, plug->options->subjects[1],
					PATIENCE / 1000);
		nanosleep(&interval, NULL);
	}
	return 0;
}

static int detach_live(const struct plug *plug)
{
	int ret = 0;

	if (plug->device &&
	    virDomainDetachDeviceFlags(plug->domain, plug->device,
				       VIR_DOMAIN_AFFECT_LIVE))
		return complain("%s: libvirt does not unplug %s: %s",
				plug->name, plug->options->subjects[1],
				connection_error());
	if (plug->device)
		ret = wait_for_guest(plug);
	if (!ret)
		ret = plug_drop_entry(plug);
	if (!ret && *plug->disk_name)
		ret = plug_release(plug);
	return ret;
}

static int detach(struct plug *plug)
{
	int ret = 0;

	if (plug->config)
		ret = work_out_definition(plug);
	if (!ret && plug->live)
		ret = work_out_device(plug);
	if (!ret && plug->live)
		ret = detach_live(plug);
	if (!ret)
		ret = plug_define(plug, work_out_definition);
	return ret;
}

int command_detach(const struct libvirt_options *options)
{
	struct plug plug;
	int ret = plug_begin(&plug, options);

	if (!ret)
		ret = detach(&plug);
	plug_end(&plug);
	return ret;
}
