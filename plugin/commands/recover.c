// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * `recover`: brings back the missing processes of a disk.
 *
 * A living supervisor starts its server itself: it is asked to, and answers
 * when the disk is live, which may be at once.  A dead supervisor gets a
 * successor.  A device that is gone cannot be recovered: the command removes
 * the rest of its disk, and says so.
 *
 * Recovery waits for the dead server's last I/O, which waits for its storage.
 * The command does not wait for ever; the supervisor goes on without it.  No
 * disk waits for another: with --all each has a process of its own.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "plugin/commands/command.h"
#include "plugin/common/log.h"
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
	return command_complain(disk, "its device is gone; the rest of the "
				      "disk is removed now");
}

static int replace_supervisor(const struct disk *disk, int lock, bool force)
{
	struct task task = {
		.disk = *disk,
		.take_over = true,
		.stand_in = true,
		.force = force,
		.lock = lock,
		.caller = -1,
		.channel = -1,
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
	struct disk now;
	int pidfd;
	int ret = command_appeal(disk, &appeal, PATIENCE, &outcome);

	/* The supervisor has let go of the disk: its service manager wants it
	   to end. */
	if (!ret && !outcome.failed && !outcome.stays)
		ret = -ESRCH;
	if (!ret || ret == -ETIMEDOUT)
		return tell(disk, begun, ret, &outcome);
	if (ret != -ESRCH)
		return command_deaf(disk, ret);
	/* The supervisor may have been about to end, after its disk. */
	if (!process_open(&disk->supervisor, &pidfd)) {
		process_wait(pidfd, END_PATIENCE);
		close(pidfd);
	}
	/* It has gone on with its work while we waited. */
	ret = disk_load(disk->id, &now);
	if (ret == -ENOENT)
		return command_complain(disk, "has just been removed");
	if (ret)
		return command_complain(disk, "its record: %s", strerror(-ret));
	return replace_supervisor(&now, lock, force);
}

static bool is_in_good_order(const struct disk *disk)
{
	return disk->state == DISK_LIVE && process_alive(&disk->supervisor) &&
	       process_alive(&disk->server);
}

/* Prints one line for the disk; that of a failure goes to stderr. */
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
	if (!status)
		say("/dev/ublkb%d (%s): %s", disk.id, disk.image,
		    was_good ? "in good order" : "recovered");
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
	/* Without memory or processes, one disk after the other. */
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
	/* Our own memory may be paged out to the disk that we recover. */
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
