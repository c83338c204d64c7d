// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * hooks.d: executables run in the order of their names, one at a time, the
 * events in the order in which they happened.
 *
 * They must not delay a recovery, so a child runs them, and the supervisor only
 * watches for that child's end.  While the child is busy, events wait in a
 * short queue.  When the queue is full, the newest event is dropped, and the
 * log tells so: a disk that crashes so often has been reported often enough.
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "plugin/supervisor/execute.h"
#include "plugin/supervisor/hooks.h"
#include "plugin/common/link.h"
#include "plugin/common/log.h"
#include "plugin/common/program.h"
#include "plugin/common/settle.h"

#define HOOKS_DIR "/etc/ublk-qcow2/hooks.d"

static const char *hooks_dir(void)
{
	const char *dir = program_choice("UBLK_QCOW2_HOOKS");

	return dir ? dir : HOOKS_DIR;
}

static void set_number(const char *name, long number)
{
	char text[24];

	snprintf(text, sizeof(text), "%ld", number);
	setenv(name, text, 1);
}

static void set_environment(const struct disk *disk, const struct hook *hook)
{
	char link[PATH_MAX];

	settle_environment();
	link_path(disk, link);
	set_number("UBLK_QCOW2_ID", disk->id);
	set_number("UBLK_QCOW2_PID", hook->server);
	set_number("UBLK_QCOW2_RECOVERIES", hook->recoveries);
	setenv("UBLK_QCOW2_NAME", disk->name, 1);
	setenv("UBLK_QCOW2_IMAGE", disk->image, 1);
	setenv("UBLK_QCOW2_LINK", link, 1);
	setenv("UBLK_QCOW2_REASON", hook->reason, 1);
	if (hook->event == DISK_EVENT_MERGED)
		setenv("UBLK_QCOW2_OVERLAY", disk->merged_from, 1);
}

/* A file that is no executable is told of with the first event of each disk. */
static bool is_executable(const char *path, bool tell)
{
	struct stat st;

	if (!stat(path, &st) && S_ISREG(st.st_mode) && !access(path, X_OK))
		return true;
	if (tell)
		log_line(LOG_WARNING,
			 "%s is not run as a hook: it is no executable file; "
			 "see chmod(1), or remove it",
			 path);
	return false;
}

static int visible(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

struct run {
	const struct disk *disk;
	const struct hook *hook;
	bool tell; /* of files that cannot be run */
};

/* The child: runs all executables for one event. */
static int run_all(const void *argument, char *text)
{
	const struct run *run = argument;
	char dir[PATH_MAX - NAME_MAX - 1], path[PATH_MAX], device[32];
	struct dirent **entries;
	int i, nr;

	(void)text;
	snprintf(dir, sizeof(dir), "%s", hooks_dir());
	nr = scandir(dir, &entries, visible, by_name);
	if (nr <= 0)
		return EXIT_SUCCESS;
	set_environment(run->disk, run->hook);
	snprintf(device, sizeof(device), "/dev/ublkb%d", run->disk->id);
	for (i = 0; i < nr; i++) {
		snprintf(path, sizeof(path), "%s/%s", dir, entries[i]->d_name);
		if (is_executable(path, run->tell))
			execute(path, entries[i]->d_name,
				disk_event_word(run->hook->event), device);
	}
	return EXIT_SUCCESS;
}

static void start_first(struct hooks *hooks, const struct disk *disk)
{
	struct run run = {
		.disk = disk,
		.hook = &hooks->pending[0],
		.tell = !hooks->told,
	};
	int ret = job_start(&hooks->job, run_all, &run, false);

	if (ret)
		log_line(LOG_WARNING, "cannot run the hooks: %s",
			 strerror(-ret));
	hooks->told |= !ret;
	hooks->running = run.hook->event;
	memmove(&hooks->pending[0], &hooks->pending[1],
		--hooks->nr_pending * sizeof(hooks->pending[0]));
}

void hooks_init(struct hooks *hooks)
{
	memset(hooks, 0, sizeof(*hooks));
	hooks->job.pidfd = -1;
}

/* Why the event came about; "" if there is nothing to tell. */
static const char *reason_of(const struct disk *disk, enum disk_event event)
{
	if (event == DISK_EVENT_NO_SPACE || event == DISK_EVENT_IO_ERROR)
		return disk->trouble_text;
	return disk->reason;
}

bool hooks_run(struct hooks *hooks, const struct disk *disk,
	       enum disk_event event, pid_t server)
{
	struct hook *hook = &hooks->pending[hooks->nr_pending];

	if (hooks->nr_pending == HOOKS_PENDING_MAX) {
		log_line(LOG_WARNING,
			 "the hooks are behind; those for '%s' are left out",
			 disk_event_word(event));
		return false;
	}
	hook->event = event;
	hook->recoveries = disk->recoveries;
	hook->server = server;
	snprintf(hook->reason, sizeof(hook->reason), "%.255s",
		 reason_of(disk, event));
	hooks->nr_pending++;
	if (hooks->job.pidfd < 0)
		start_first(hooks, disk);
	return hooks->job.pidfd >= 0;
}

bool hooks_have(const struct hooks *hooks, enum disk_event event)
{
	bool have = hooks->job.pidfd >= 0 && hooks->running == event;

	for (unsigned int i = 0; i < hooks->nr_pending; i++)
		have |= hooks->pending[i].event == event;
	return have;
}

enum disk_event hooks_finished(struct hooks *hooks, const struct disk *disk)
{
	const enum disk_event event = hooks->running;
	char text[JOB_TEXT_MAX];

	job_finish(&hooks->job, text);
	if (hooks->nr_pending)
		start_first(hooks, disk);
	return event;
}
