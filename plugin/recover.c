// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * `recover`: brings back what is missing of a disk.
 *
 * A living supervisor sees to its server itself; it is asked to and answers
 * when the disk is live, which may be at once.  A dead one gets a successor.
 * A device that is gone cannot be recovered: what is left of its disk is
 * removed, and said to be.
 *
 * The command does not wait for ever: recovery waits for the dead server's
 * last I/O, and that for its storage.  The supervisor goes on then.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "plugin/command.h"
#include "plugin/log.h"
#include "plugin/options.h"
#include "plugin/supervisor.h"
#include "plugin/teardown.h"

#define PATIENCE     90000 /* ms */
#define END_PATIENCE 2000  /* ms */

static int tell(const struct disk *disk, int ret, const struct outcome *outcome)
{
	if (ret == -ETIMEDOUT)
		return command_complain(disk,
					"not live after %d seconds; it may "
					"wait for the dead server's last I/O, "
					"so look at the image's storage; the "
					"recovery goes on",
					PATIENCE / 1000);
	if (ret)
		return command_complain(disk,
					"its supervisor died: %s; "
					"run this once more",
					strerror(-ret));
	if (outcome->failed)
		return command_complain(disk, "%s", outcome->text);
	return EXIT_SUCCESS;
}

static int remove_rest(const struct disk *disk)
{
	char text[JOB_TEXT_MAX] = "";

	if (teardown_all(disk, true, text))
		return command_complain(disk,
					"its device is gone, and removing the "
					"rest failed: %s",
					text);
	return command_complain(disk, "its device is gone; removed what was "
				      "left of the disk");
}

static int replace_supervisor(const struct disk *disk, int lock)
{
	struct task task = {
		.disk = *disk,
		.take_over = true,
		.lock = lock,
		.caller = -1,
	};
	enum device_presence presence;
	struct outcome outcome;
	pid_t pid;
	int ret = teardown_look(disk, &presence);

	if (ret)
		return command_complain(disk, "the ublk driver says: %s",
					strerror(-ret));
	if (presence == DEVICE_ABSENT || presence == DEVICE_ENDED)
		return remove_rest(disk);
	ret = supervisor_launch(&task, PATIENCE, &outcome, &pid);
	return tell(disk, ret, &outcome);
}

static int recover_disk(const struct disk *disk, int lock)
{
	const struct appeal appeal = { .type = APPEAL_RECOVER };
	struct outcome outcome;
	int pidfd;
	int ret = command_appeal(disk, &appeal, PATIENCE, &outcome);

	if (!ret || ret == -ETIMEDOUT)
		return tell(disk, ret, &outcome);
	if (ret != -ESRCH)
		return command_deaf(disk, ret);
	/* It may have been about to end, as its disk is removed. */
	if (!process_open(&disk->supervisor, &pidfd)) {
		process_wait(pidfd, END_PATIENCE);
		close(pidfd);
	}
	if (!disk_exists(disk->id))
		return command_complain(disk, "has just been removed");
	return replace_supervisor(disk, lock);
}

static int recover_one(const struct disk *found, void *opaque)
{
	struct disk disk = *found;
	int *status = opaque;
	int lock;
	int ret = command_lock(&disk, &lock);

	if (ret == -ENOENT)
		return 0;
	if (ret) {
		*status = command_complain(&disk, "another command is working "
						  "on it");
		return 0;
	}
	if (recover_disk(&disk, lock))
		*status = EXIT_FAILURE;
	close(lock);
	return 0;
}

int command_recover(const struct options *options)
{
	int status = EXIT_SUCCESS;
	struct disk disk;
	int lock;

	if (command_begin(options->all ? "recover" : options->subject))
		return EXIT_FAILURE;
	/* What rescues must not wait for what it rescues. */
	process_lock_memory();
	teardown_leftovers();
	if (options->all) {
		disk_each(recover_one, &status);
		disk_each_unreadable(command_unreadable, &status);
		return status;
	}
	if (command_find(options->subject, &disk, &lock))
		return EXIT_FAILURE;
	status = recover_disk(&disk, lock);
	close(lock);
	return status;
}
