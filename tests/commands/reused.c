// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A command that waits for another one on the same disk.  That one removes the
 * disk, and the next disk gets its id: the command has found no disk, and
 * leaves the other alone.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "plugin/commands/command.h"
#include "tests/lib/helpers.h"

#define ID   7
#define WAIT 300000 /* us; the command waits by then */

static unsigned int worked;

static void record(const char *name)
{
	struct disk disk = { .id = ID, .state = DISK_LIVE };

	snprintf(disk.name, sizeof(disk.name), "%s", name);
	snprintf(disk.image, sizeof(disk.image), "/srv/%s.qcow2", name);
	if (disk_stamp(&disk) || disk_save(&disk, NULL))
		die("no record can be written");
}

/* The other command, and an `add`. */
static pid_t remove_and_add(const char *name)
{
	pid_t child;
	int lock;

	record("web");
	if (state_lock(ID, 0, &lock))
		die("no lock");
	child = fork();
	if (!child) {
		usleep(WAIT);
		disk_forget(ID);
		if (name)
			record(name);
		_exit(EXIT_SUCCESS);
	}
	close(lock);
	return child;
}

static void join(pid_t child)
{
	int status;

	if (child < 0 || waitpid(child, &status, 0) != child || status)
		die("the other command fails");
}

static void find(const char *dev, const char *next)
{
	pid_t child = remove_and_add(next);
	struct disk disk;
	int lock;

	if (!command_find(dev, &disk, &lock))
		die("%s is the disk %s", dev, disk.name);
	join(child);
	if (state_lock(ID, 0, &lock))
		die("the lock is kept");
	close(lock);
}

static int work(struct disk *disk, int lock)
{
	(void)disk;
	(void)lock;
	worked++;
	return EXIT_SUCCESS;
}

static void work_on_all(void)
{
	pid_t child = remove_and_add("other");

	if (command_each(NULL, work) || worked)
		die("works on a disk that it has not found");
	join(child);
	if (command_each(NULL, work) || worked != 1)
		die("does not work on the next one");
}

int main(void)
{
	setenv("UBLK_QCOW2_RUN", scratch(), 1);
	find("web", NULL);
	find("web", "other");
	find("/srv/web.qcow2", "other");
	find("7", "other");
	work_on_all();
	return 0;
}
