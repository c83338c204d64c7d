// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * `del`: removes disks.
 *
 * The supervisor of a disk removes it, for no other process knows the state of
 * the server.  If the supervisor is dead the command does all of that itself.
 * With --force the command kills a supervisor that does not answer, and then
 * does the same.
 *
 * Each of several disks is on its own: after a disk that cannot be removed the
 * command goes on with the next one, and fails at its end.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "plugin/commands/command.h"
#include "plugin/common/log.h"
#include "plugin/commands/options.h"
#include "plugin/supervisor/teardown.h"

#define PATIENCE	  35000 /* ms; the supervisor's own is shorter */
#define RECOVERY_PATIENCE 4000	/* ms; most recoveries take less than one */
#define END_PATIENCE	  2000	/* ms */

static int remove_alone(struct disk *disk, bool force)
{
	char text[JOB_TEXT_MAX] = "";
	int ret = command_kill_supervisor(disk);

	if (ret == -EXDEV)
		return command_deaf(disk, ret);
	if (ret)
		return command_complain(disk,
					"its supervisor (process %d) cannot be "
					"ended: %s; try again",
					(int)disk->supervisor.pid,
					strerror(-ret));
	ret = disk_load(disk->id, disk);
	/* The supervisor may just have removed the disk. */
	if (ret == -ENOENT)
		return EXIT_SUCCESS;
	if (ret)
		return command_complain(disk, "its record: %s", strerror(-ret));
	if (teardown_all(disk, force, force, text))
		return command_complain(disk, "%s", text);
	return EXIT_SUCCESS;
}

/* The supervisor answers last of all: when it has ended, nothing is left of the
   disk. */
static int ask_supervisor(const struct disk *disk, bool force,
			  struct outcome *outcome)
{
	const struct appeal appeal = { .type = APPEAL_STOP, .force = force };
	int pidfd;
	int ret = process_open(&disk->supervisor, &pidfd);

	if (ret)
		return ret;
	ret = command_appeal_later(disk, &appeal, PATIENCE, RECOVERY_PATIENCE,
				   outcome);
	if (!ret && !disk_exists(disk->id))
		process_wait(pidfd, END_PATIENCE);
	close(pidfd);
	return ret;
}

static int remove_disk(struct disk *disk, bool force)
{
	struct outcome outcome;
	int ret = ask_supervisor(disk, force, &outcome);

	if (ret == -ESRCH || (ret && force))
		return remove_alone(disk, force);
	if (ret == -ETIMEDOUT || ret == -ETIME)
		return command_complain(disk,
					"its supervisor (process %d) does not "
					"answer; use --force",
					(int)disk->supervisor.pid);
	if (ret)
		return command_deaf(disk, ret);
	if (outcome.failed && outcome.later)
		return command_complain(disk,
					"is being recovered, for %d seconds by "
					"now; wait for that, or use --force",
					RECOVERY_PATIENCE / 1000);
	if (outcome.failed)
		return command_complain(disk, "%s", outcome.text);
	return EXIT_SUCCESS;
}

static int remove_named(const char *dev, bool force)
{
	struct disk disk;
	int lock, ret;

	if (command_find(dev, &disk, &lock))
		return EXIT_FAILURE;
	ret = remove_disk(&disk, force);
	close(lock);
	return ret;
}

/* The `add` that makes a disk has told nobody of the disk yet. */
static bool is_made(const struct disk *disk)
{
	return disk->state != DISK_ADDING || !process_alive(&disk->supervisor);
}

static int remove_unused(struct disk *disk, int lock)
{
	(void)lock;
	return remove_disk(disk, false);
}

int command_del(const struct options *options)
{
	int status = EXIT_SUCCESS;
	size_t i;

	if (command_begin(options->all ? "del" : options->subject))
		return EXIT_FAILURE;
	teardown_leftovers();
	if (options->all)
		return command_each(is_made, remove_unused);
	for (i = 0; i < options->nr_subjects; i++)
		if (remove_named(options->subjects[i], options->force))
			status = EXIT_FAILURE;
	return status;
}
