// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * `resize`: a disk of a running domain grows, and its guest hears so.
 *
 * The device grows first.  libvirt then has QEMU look at the device's size,
 * which must be exact: so the size is asked of the disk, not taken from the
 * command line.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plugin/common/log.h"
#include "plugin/libvirt/change.h"
#include "plugin/libvirt/connection.h"
#include "plugin/libvirt/plug.h"

static int tell_guest(const struct plug *plug, const char *target, int id)
{
	struct disk disk;

	if (disk_load(id, &disk))
		return complain("%s: %s has just been removed", plug->name,
				target);
	if (!virDomainBlockResize(plug->domain, target, disk.size,
				  VIR_DOMAIN_BLOCK_RESIZE_BYTES))
		return 0;
	return complain("%s: %s has grown, but libvirt does not tell the "
			"guest: %s",
			plug->name, target, connection_error());
}

static int resize(const struct plug *plug)
{
	const char *const *words = plug->options->subjects;
	char id[16], target[32];
	const char *const arguments[] = { "resize", id, words[2], NULL };
	struct disk disk;

	if (!plug->live)
		return complain("%s: is not running; grow the image with "
				"qemu-img",
				plug->name);
	if (change_find_disk(plug, words[1], &disk, target))
		return EXIT_FAILURE;
	snprintf(id, sizeof(id), "%d", disk.id);
	if (change_run(arguments))
		return EXIT_FAILURE;
	return tell_guest(plug, target, disk.id);
}

int command_resize(const struct libvirt_options *options)
{
	struct plug plug;
	int ret = plug_begin(&plug, options);

	if (!ret)
		ret = resize(&plug);
	plug_end(&plug);
	return ret;
}
