// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The supervisor of an `add` dies on its way.  The command removes the disk of
 * that process, and no other disk: another record may have the same pid, of a
 * process that is dead for long, or that lives in another pid namespace.
 * Another command may have the disk first: then the id is another disk's, or
 * the disk another supervisor's.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "plugin/commands/add.h"
#include "plugin/commands/kernel.h"
#include "plugin/common/process.h"
#include "plugin/server/control.h"
#include "plugin/supervisor/supervisor.h"
#include "plugin/supervisor/teardown.h"
#include "tests/lib/helpers.h"

enum { OLDER, ELSEWHERE, ITS_OWN, NR_DISKS };

static unsigned int removed[NR_DISKS];
static bool finished; /* it had no disk yet, or has none any more */
static enum { NOBODY, ADDS_ANOTHER, TAKES_OVER } first; /* has the lock */
static pid_t other;

/* ---- the world ---- */

int __wrap_job_run(job_fn *work, const void *argument, char *text);
int __wrap_job_run(job_fn *work, const void *argument, char *text)
{
	(void)work;
	(void)argument;
	(void)text;
	return 0;
}

int __wrap_kernel_check(const char *image, const struct disk_options *options);
int __wrap_kernel_check(const char *image, const struct disk_options *options)
{
	(void)image;
	(void)options;
	return 0;
}

int __wrap_control_open(struct control **control);
int __wrap_control_open(struct control **control)
{
	*control = NULL;
	return 0;
}

void __wrap_control_close(struct control *control);
void __wrap_control_close(struct control *control)
{
	(void)control;
}

int __wrap_teardown_all(const struct disk *disk, bool force, bool give_up,
			char *text);
int __wrap_teardown_all(const struct disk *disk, bool force, bool give_up,
			char *text)
{
	(void)force;
	(void)give_up;
	(void)text;
	removed[disk->id]++;
	return 0;
}

static void record(int id, const struct process *supervisor)
{
	struct disk disk = {
		.id = id,
		.state = DISK_LIVE,
		.supervisor = *supervisor,
	};

	snprintf(disk.name, sizeof(disk.name), "disk-%d", id);
	if (disk_stamp(&disk) || disk_save(&disk, NULL))
		die("no record can be written");
}

/* It has the lock when ours finds the disk, and a living supervisor when ours
   gets the lock. */
static void __attribute__((noreturn)) be_first(int ready)
{
	struct disk disk;
	int lock;

	if (state_lock(ITS_OWN, 0, &lock) || disk_load(ITS_OWN, &disk) ||
	    process_identify(getpid(), &disk.supervisor) ||
	    (first == ADDS_ANOTHER && disk_stamp(&disk)) ||
	    write(ready, "", 1) != 1)
		_exit(EXIT_FAILURE);
	usleep(300000);
	if (disk_save(&disk, NULL) || close(lock))
		_exit(EXIT_FAILURE);
	for (;;)
		pause();
}

static void let_other_be_first(void)
{
	int ready[2];
	char byte;

	if (pipe(ready))
		die("no pipe");
	other = fork();
	if (!other)
		be_first(ready[1]);
	close(ready[1]);
	if (read(ready[0], &byte, 1) != 1)
		die("the other command fails");
	close(ready[0]);
}

int __wrap_supervisor_launch(const struct task *task, int milliseconds,
			     struct outcome *outcome, pid_t *pid);
int __wrap_supervisor_launch(const struct task *task, int milliseconds,
			     struct outcome *outcome, pid_t *pid)
{
	struct process process, another;

	(void)task;
	(void)milliseconds;
	(void)outcome;
	*pid = fork();
	if (!*pid)
		_exit(EXIT_FAILURE);
	if (process_identify(*pid, &process))
		die("a child is nobody");
	another = process;
	another.start--;
	record(OLDER, &another);
	another = process;
	another.space++;
	record(ELSEWHERE, &another);
	if (!finished)
		record(ITS_OWN, &process);
	if (first != NOBODY)
		let_other_be_first();
	return -EPIPE;
}

/* ---- the test ---- */

static void add(const char *image, unsigned int expected)
{
	const struct disk_request request = {
		.image = image,
		.id = -1,
		.options = DISK_OPTIONS_DEFAULT,
	};

	memset(removed, 0, sizeof(removed));
	if (add_image(&request, false, false) == EXIT_SUCCESS)
		die("a supervisor that died is no failure");
	if (removed[OLDER] || removed[ELSEWHERE])
		die("another disk is removed");
	if (removed[ITS_OWN] != expected)
		die("its own disk: removed %u times", removed[ITS_OWN]);
	if (first != NOBODY)
		kill(other, SIGKILL);
	while (wait(NULL) > 0)
		;
	disk_forget(ITS_OWN);
}

int main(void)
{
	char *image = scratch_path("image");

	setenv("UBLK_QCOW2_RUN", scratch(), 1);
	write_file(image, "", 0);
	add(image, 1);
	first = ADDS_ANOTHER;
	add(image, 0);
	first = TAKES_OVER;
	add(image, 0);
	first = NOBODY;
	finished = true;
	add(image, 0);
	free(image);
	return 0;
}
