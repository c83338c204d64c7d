// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * `resize`: a disk that is in use grows, first its image, then its device.
 *
 * Its users hear of the new size from the kernel.  Nothing tells a guest but
 * its hypervisor (`virsh blockresize`, or `ublk-qcow2 libvirt resize`).
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "plugin/commands/change.h"
#include "plugin/commands/command.h"
#include "plugin/commands/options.h"
#include "plugin/common/conf.h"
#include "plugin/common/log.h"
#include "plugin/common/text.h"

/* SIZE, or +SIZE: so much more. */
static int size_of(const char *text, const struct disk *disk, uint64_t *size)
{
	const bool more = *text == '+';

	if (text_to_size(text + more, size) || !*size ||
	    *size > INT64_MAX - disk->size)
		return command_complain(disk,
					"%s is no size: a size is a number of "
					"bytes, or a number with one of K, M, "
					"G, T behind it; with a + before it, "
					"so much more",
					text);
	if (more)
		*size += disk->size;
	if (*size % QCOW_SECTOR)
		return command_complain(disk,
					"%" PRIu64 " bytes are no whole "
					"sectors of %u",
					*size, QCOW_SECTOR);
	return EXIT_SUCCESS;
}

/* After the next boot the disk would have the size of the image that its file
   names: of the overlay, say, of a snapshot that was interrupted. */
static int check_file(const struct disk *disk)
{
	char text[CONF_TEXT_MAX];
	int ret = conf_check_image(disk->name, disk->image, text);

	return ret && ret != -ENOENT ? complain("%s", text) : EXIT_SUCCESS;
}

int command_resize(const struct options *options)
{
	struct change change = { .kind = CHANGE_SIZE };
	struct disk disk;
	int lock, status;

	if (command_begin(options->subject) ||
	    command_find(options->subject, &disk, &lock))
		return EXIT_FAILURE;
	status = size_of(options->subjects[1], &disk, &change.size);
	if (!status)
		status = check_file(&disk);
	if (!status)
		status = change_disk(&disk, &change);
	close(lock);
	return status;
}
