// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What commands have in common.
 *
 * A command that changes a disk holds the disk's lock from before it reads
 * the record until its end, so what it read stays true but for the disk's own
 * supervisor, which it therefore asks rather than passes over.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "plugin/command.h"
#include "plugin/log.h"

int command_begin(const char *subject)
{
	int ret;

	if (geteuid())
		return complain("%s: only root may do this", subject);
	ret = state_open();
	if (ret)
		return complain("%s: cannot make " STATE_DIR ": %s", subject,
				strerror(-ret));
	return 0;
}

int command_complain(const struct disk *disk, const char *format, ...)
{
	char text[1536];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	return complain("/dev/ublkb%d (%s): %s", disk->id, disk->image, text);
}

int command_lock(struct disk *disk, int *lock)
{
	int ret = state_lock(disk->id, COMMAND_PATIENCE, lock);

	if (ret)
		return ret;
	ret = disk_load(disk->id, disk);
	if (ret)
		close(*lock);
	return ret;
}

int command_find(const char *dev, struct disk *disk, int *lock)
{
	int ret = disk_find(dev, disk);

	if (!ret)
		ret = command_lock(disk, lock);
	if (!ret)
		return 0;
	if (ret == -ENOENT)
		return complain("%s: no such disk; see 'ublk-qcow2 list'", dev);
	if (ret == -EBUSY)
		return complain("%s: another command is working on it", dev);
	return complain("%s: cannot read its record in " STATE_DIR ": %s", dev,
			strerror(-ret));
}

int command_appeal(const struct disk *disk, const struct appeal *appeal,
		   int milliseconds, struct outcome *outcome)
{
	int call, ret;

	if (!process_alive(&disk->supervisor))
		return -ESRCH;
	ret = rpc_call(disk->id, appeal, &call);
	if (!ret) {
		ret = rpc_wait(call, milliseconds, outcome);
		close(call);
	}
	/* Its socket may go a moment before the process. */
	if (ret == -EPIPE || ret == -ECONNREFUSED || ret == -ENOENT)
		return -ESRCH;
	return ret;
}
