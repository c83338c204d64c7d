// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Finds the disk that serves an image, and the image that a disk serves.
 *
 * The device of a disk is a file, too, but only a guest's data are in it.  So
 * a path in /dev that is a disk's means the disk; any other word means a file
 * if there is one of that name.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "plugin/commands/served.h"

static bool means_disk(const char *word)
{
	static const char devices[] = "/dev/ublk";

	return !strncmp(word, devices, strlen(devices)) || access(word, F_OK);
}

void served_find(const char *word, struct served *served)
{
	struct qcow_identity identity;
	char path[PATH_MAX];
	bool known;

	if (means_disk(word) && !disk_find(word, &served->disk)) {
		served->path = served->disk.image;
		served->is_served = true;
		return;
	}
	served->path = word;
	known = !qcow_identify_path(word, &identity);
	served->is_served = realpath(word, path) &&
			    !disk_of_image(path, known ? &identity : NULL,
					   &served->disk);
}
