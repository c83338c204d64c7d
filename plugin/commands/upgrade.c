// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * `upgrade`: running disks get the program that is installed.
 *
 * First the supervisor becomes the installed program; it stays the process that
 * it is.  Then it replaces the server, which is a planned death: the disk's
 * users wait for as long as in a recovery.
 *
 * A supervisor of a version that does not know of this is killed, and a new one
 * takes the disk over.  A service manager that misses the dead one starts its
 * own, which the new one hands the disk to.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "plugin/commands/change.h"
#include "plugin/commands/command.h"
#include "plugin/commands/options.h"
#include "plugin/common/log.h"
#include "plugin/supervisor/supervisor.h"
#include "plugin/supervisor/teardown.h"

#define PATIENCE 90000 /* ms */

static int take_over(const struct disk *disk, int lock)
{
	const struct task task = {
		.disk = *disk,
		.take_over = true,
		.stand_in = true,
		.lock = lock,
		.caller = -1,
		.channel = -1,
	};
	struct outcome outcome;
	pid_t pid;
	int ret = command_kill_supervisor(disk);

	if (!ret)
		ret = supervisor_launch(&task, PATIENCE, &outcome, &pid);
	if (ret)
		return command_complain(disk,
					"its supervisor cannot be replaced: %s",
					strerror(-ret));
	if (outcome.failed)
		return command_complain(disk, "%s", outcome.text);
	return EXIT_SUCCESS;
}

static int renew_supervisor(const struct disk *disk, int lock)
{
	const struct appeal appeal = { .type = APPEAL_RENEW };
	struct outcome outcome;
	int ret = change_ask(disk, &appeal, &outcome);

	if (ret == -EPROTO || ret == -ESRCH)
		return take_over(disk, lock);
	if (ret)
		return command_deaf(disk, ret);
	if (outcome.failed)
		return command_complain(disk, "%s", outcome.text);
	return EXIT_SUCCESS;
}

/* The lock passes to a supervisor that takes the disk over. */
static int upgrade_locked(struct disk *disk, int lock)
{
	const struct change change = { .kind = CHANGE_SERVER };

	if (renew_supervisor(disk, lock))
		return EXIT_FAILURE;
	if (disk_load(disk->id, disk))
		return command_complain(disk, "has just been removed");
	return change_disk(disk, &change);
}

int command_upgrade(const struct options *options)
{
	struct disk disk;
	int lock, status;

	if (command_begin(options->all ? "upgrade" : options->subject))
		return EXIT_FAILURE;
	teardown_leftovers();
	if (options->all)
		return command_each(NULL, upgrade_locked);
	if (command_find(options->subject, &disk, &lock))
		return EXIT_FAILURE;
	status = upgrade_locked(&disk, lock);
	close(lock);
	return status;
}
