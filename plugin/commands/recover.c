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
 * last I/O, and that for its storage.  The supervisor goes on then.  Nor does
 * one disk wait for another: with --all each has a process of its own.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "plugin/commands/command.h"
#include "plugin/common/log.h"
#include "plugin/common/text.h"
#include "plugin/commands/options.h"
#include "plugin/supervisor/supervisor.h"
#include "plugin/supervisor/teardown.h"

#define PATIENCE     90000 /* ms */
#define END_PATIENCE 2000  /* ms */

static int tell(const struct disk *disk, uint64_t begun, int ret,
		const struct outcome *outcome)
{
	if (ret == -ETIMEDOUT)
		return command_complain(disk,
					"not live after %d seconds; it may "
					"wait for the dead server's last I/O, "
					"so look at the image's storage; the "
					"recovery goes on",
					(int)((clock_ms() - begun) / 1000));
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

	if (teardown_all(disk, true, false, text))
		return command_complain(disk,
					"its device is gone, and removing the "
					"rest failed: %s",
					text);
	return command_complain(disk, "its device is gone; removed what was "
				      "left of the disk");
}

static int replace_supervisor(const struct disk *disk, int lock, bool force)
{
	struct task task = {
		.disk = *disk,
		.take_over = true,
		.force = force,
		.lock = lock,
		.caller = -1,
	};
	const uint64_t begun = clock_ms();
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
	return tell(disk, begun, ret, &outcome);
}

static int recover_disk(const struct disk *disk, int lock, bool force)
{
	const struct appeal appeal = {
		.type = APPEAL_RECOVER,
		.force = force,
	};
	const uint64_t begun = clock_ms();
	struct outcome outcome;
	int pidfd;
	int ret = command_appeal(disk, &appeal, PATIENCE, &outcome);

	if (!ret || ret == -ETIMEDOUT)
		return tell(disk, begun, ret, &outcome);
	if (ret != -ESRCH)
		return command_deaf(disk, ret);
	/* It may have been about to end, as its disk is removed. */
	if (!process_open(&disk->supervisor, &pidfd)) {
		process_wait(pidfd, END_PATIENCE);
		close(pidfd);
	}
	if (!disk_exists(disk->id))
		return command_complain(disk, "has just been removed");
	return replace_supervisor(disk, lock, force);
}

static bool is_in_good_order(const struct disk *disk)
{
	return disk->state == DISK_LIVE && process_alive(&disk->supervisor) &&
	       process_alive(&disk->server);
}

/* One line, whatever becomes of it: a failure has one on stderr. */
static int recover_one(const struct disk *found)
{
	const bool was_good = is_in_good_order(found);
	struct disk disk = *found;
	int lock, status;
	int ret = command_lock(&disk, &lock);

	if (ret == -ENOENT)
		return EXIT_SUCCESS;
	if (ret)
		return command_complain(&disk,
					"another command is working on it");
	status = recover_disk(&disk, lock, false);
	close(lock);
	text_tame(disk.image);
	if (!status)
		printf("/dev/ublkb%d (%s): %s\n", disk.id, disk.image,
		       was_good ? "in good order" : "recovered");
	fflush(stdout);
	return status;
}

/* Children, each of which recovers one disk. */
struct crew {
	pid_t *pids;
	size_t count;
	int status;
};

static bool enlarge(struct crew *crew)
{
	pid_t *pids = reallocarray(crew->pids, crew->count + 1, sizeof(*pids));

	if (pids)
		crew->pids = pids;
	return pids;
}

static int send_for(const struct disk *disk, void *opaque)
{
	struct crew *crew = opaque;
	pid_t pid = -1;

	fflush(NULL);
	if (enlarge(crew))
		pid = fork();
	if (!pid) {
		process_lock_memory();
		_exit(recover_one(disk));
	}
	if (pid > 0)
		crew->pids[crew->count++] = pid;
	/* For want of memory or processes, one after the other. */
	else if (recover_one(disk))
		crew->status = EXIT_FAILURE;
	return 0;
}

static int recover_all(void)
{
	struct crew crew = { .status = EXIT_SUCCESS };
	size_t i;

	disk_each(send_for, &crew);
	disk_each_unreadable(command_unreadable, &crew.status);
	for (i = 0; i < crew.count; i++) {
		int end = -1;

		waitpid(crew.pids[i], &end, 0);
		if (end)
			crew.status = EXIT_FAILURE;
	}
	free(crew.pids);
	return crew.status;
}

int command_recover(const struct options *options)
{
	struct disk disk;
	int lock, status;

	if (command_begin(options->all ? "recover" : options->subject))
		return EXIT_FAILURE;
	/* What rescues must not wait for what it rescues. */
	process_lock_memory();
	teardown_leftovers();
	if (options->all)
		return recover_all();
	if (command_find(options->subject, &disk, &lock))
		return EXIT_FAILURE;
	status = recover_disk(&disk, lock, options->force);
	close(lock);
	return status;
}
