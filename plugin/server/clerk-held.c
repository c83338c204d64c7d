// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Files that the server of a known disk opened before it fell.
 *
 * Their names do not come from the image, and the server may open files by
 * itself as long as it has not read a byte.  The journal is that of the disk's
 * own file, so nobody has it to whom the clerk would not give it.  To open it
 * before the fence is harmless (R14): it is not read before.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "plugin/server/clerk-inside.h"
#include "plugin/server/server.h"

static void hold(struct clerk *clerk, char *path, int flags)
{
	int fd = path ? open(path, flags) : -1;

	if (fd < 0)
		free(path);
	else
		clerk->held[clerk->nr_held++] = (struct held){ path, flags,
							       fd };
}

void clerk_hold_files(struct clerk *clerk, const struct server_config *config)
{
	const struct qcow_identity *image = &config->identity;
	const int flags = O_RDWR | O_CLOEXEC | O_NOFOLLOW;

	if (config->options->read_only)
		return;
	hold(clerk, strdup(QCOW_BOOT_ID), O_RDONLY | O_CLOEXEC);
	hold(clerk, qcow_journal_path(image, QCOW_JOURNAL_DIR, "journal"),
	     flags);
	hold(clerk, qcow_journal_path(image, QCOW_JOURNAL_DIR, "life"), flags);
}

/* -1: that file is not held, or its name is gone. */
static int take_held(struct clerk *clerk, const char *path, int flags)
{
	for (unsigned int i = 0; i < clerk->nr_held; i++) {
		struct held *held = &clerk->held[i];
		int fd = held->fd;
		struct stat st;

		if (fd < 0 || flags != held->flags ||
		    strcmp(path, held->path) || fstat(fd, &st) < 0 ||
		    !st.st_nlink)
			continue;
		held->fd = -1;
		return fd;
	}
	return -1;
}

static int open_held(void *opaque, const char *path, int flags)
{
	struct clerk *clerk = opaque;
	int fd = take_held(clerk, path, flags);

	return fd < 0 ? clerk->open(opaque, path, flags) : fd;
}

void clerk_names_init(struct clerk *clerk)
{
	orders_names(&clerk->orders, &clerk->names);
	clerk->open = clerk->names.open;
	clerk->names.open = open_held;
}

void clerk_names_end(struct clerk *clerk)
{
	while (clerk->nr_held) {
		struct held *held = &clerk->held[--clerk->nr_held];

		if (held->fd >= 0)
			close(held->fd);
		free(held->path);
	}
}
