// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * `serve`: a configured disk, for as long as this process lives; for service
 * managers and run scripts.
 *
 * The manager knows nothing of disks: when a process of ours dies it starts us
 * anew.  By then all of the disk may be dead but the device.  So we first look
 * for a disk of this name, and only then at the configuration.  A disk that has
 * lost its supervisor is taken over as it is: its users wait for that, even if
 * the file has changed meanwhile.
 *
 * A supervisor may live although its manager told it to end, since the disk is
 * in use.  The manager that starts us wants the disk again, so that supervisor
 * hands the disk over to us.
 *
 * Nobody else would try again for the users.  `recover` would complain and end;
 * we try again, with growing pauses.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "plugin/commands/add.h"
#include "plugin/commands/command.h"
#include "plugin/common/cause.h"
#include "plugin/common/conf.h"
#include "plugin/common/log.h"
#include "plugin/common/name.h"
#include "plugin/commands/options.h"
#include "plugin/supervisor/notify.h"
#include "plugin/supervisor/supervisor.h"
#include "plugin/supervisor/teardown.h"

#define PAUSE_MIN 1    /* s */
#define PAUSE_MAX 30   /* s */
#define PATIENCE  5000 /* ms; for a supervisor to answer, or to end */

#define LOOK_PATIENCE 2000 /* ms; for an image whose storage may hang */

#define AGAIN (-1) /* an exit status of an attempt that must be repeated */

static int serve_new(const char *name)
{
	struct task task = {
		.managed = true,
		.lock = -1,
		.caller = -1,
		.channel = -1,
	};
	char text[CONF_TEXT_MAX];
	struct conf conf;

	if (conf_find(name, &conf, text))
		return complain("%s", text);
	if (add_judge(&conf.request, &task.disk))
		return EXIT_FAILURE;
	return supervisor_run(&task);
}

struct comparison {
	const struct disk *disk;
	const char *image;
};

static int compare(const void *argument, char *text)
{
	const struct comparison *comparison = argument;
	struct qcow_identity identity;

	(void)text;
	process_mute();
	return qcow_identify_path(comparison->image, &identity) ||
	       !disk_is_file(comparison->disk, &identity);
}

/* The storage may hang while the disk's users wait, so a child looks, for a
   short time. */
static bool is_other_image(const struct disk *disk, const char *image)
{
	const struct comparison comparison = { .disk = disk, .image = image };
	char text[JOB_TEXT_MAX];
	struct job job;

	if (!strcmp(image, disk->image) ||
	    job_start(&job, compare, &comparison, true))
		return false;
	if (process_wait(job.pidfd, LOOK_PATIENCE))
		return job_finish(&job, text) != 0;
	job_abandon(&job);
	return false;
}

/* A device keeps its image and its options for life. */
static void warn_of_change(const struct disk *disk)
{
	char text[CONF_TEXT_MAX];
	struct conf conf;

	if (conf_find(disk->name, &conf, text))
		log_line(LOG_WARNING, "%s; serving %s as it was", text,
			 disk->name);
	else if (is_other_image(disk, conf.image))
		log_line(LOG_WARNING,
			 "%s: image: is %s now; serving %s with %s until it is "
			 "removed",
			 conf.path, conf.image, disk->name, disk->image);
}

static int take_over(const struct disk *disk, int lock)
{
	struct task task = {
		.disk = *disk,
		.take_over = true,
		.managed = true,
		.lock = lock,
		.caller = -1,
		.channel = -1,
	};

	warn_of_change(disk);
	return supervisor_run(&task);
}

/* Asks a living supervisor for its disk.  EXIT_SUCCESS: it has ended. */
static int ask_for(const struct disk *disk)
{
	const struct appeal appeal = { .type = APPEAL_HAND_OVER };
	struct outcome outcome;
	int pidfd;
	int ret = process_open(&disk->supervisor, &pidfd);
	bool ended;

	if (ret)
		return ret == -ESRCH ? EXIT_SUCCESS : command_deaf(disk, ret);
	ret = command_appeal(disk, &appeal, PATIENCE, &outcome);
	ended = !ret && process_wait(pidfd, outcome.stays ? 0 : PATIENCE);
	close(pidfd);
	if (ended || ret == -ESRCH)
		return EXIT_SUCCESS;
	if (ret == -ETIMEDOUT || ret == -ETIME) {
		command_deaf(disk, ret);
		return AGAIN;
	}
	if (ret)
		return command_deaf(disk, ret);
	command_complain(disk, "%s", outcome.text);
	return outcome.failed ? EXIT_FAILURE : AGAIN;
}

/* The disk's lock is held; a disk that must be served anew has no record
   then. */
static int revive(const struct disk *disk, int lock)
{
	char text[JOB_TEXT_MAX] = "";
	enum device_presence presence;
	int ret = teardown_look(disk, &presence);

	if (!ret && presence != DEVICE_ABSENT && presence != DEVICE_ENDED)
		return take_over(disk, lock);
	if (!ret)
		ret = teardown_all(disk, true, false, text);
	close(lock);
	if (ret)
		return command_complain(disk, "its rest cannot be removed: %s",
					*text ? text : strerror(-ret));
	return serve_new(disk->name);
}

static int inherit(const char *name, struct disk *disk, int lock)
{
	int ret = ask_for(disk);

	if (ret) {
		close(lock);
		return ret;
	}
	/* The supervisor may have removed the disk before it ended. */
	if (disk_load(disk->id, disk)) {
		close(lock);
		return serve_new(name);
	}
	return revive(disk, lock);
}

static int serve(const char *name)
{
	struct disk disk;
	int lock;
	int ret = disk_of_name(name, &disk);

	if (!ret)
		ret = command_lock(&disk, &lock);
	if (!ret)
		return process_alive(&disk.supervisor) ?
			       inherit(name, &disk, lock) :
			       revive(&disk, lock);
	if (ret == -ENOENT)
		return serve_new(name);
	if (ret == -EBUSY)
		complain_about(name, "another command is working on it");
	else
		complain_about(name,
			       "cannot read the records in " STATE_DIR ": %s",
			       strerror(-ret));
	return AGAIN;
}

/* Are there users, perhaps, that have nobody but us?  As long as that cannot be
   seen, there may be some. */
static bool is_orphan(const char *name)
{
	enum device_presence presence;
	struct disk disk;
	int ret = disk_of_name(name, &disk);

	if (ret)
		return ret != -ENOENT;
	if (disk.state == DISK_ADDING || process_alive(&disk.supervisor))
		return false;
	return teardown_look(&disk, &presence) || presence == DEVICE_SERVED ||
	       presence == DEVICE_WAITING;
}

/* Whether the signal to end came within the time. */
static bool is_told_to_end(unsigned int seconds)
{
	const struct timespec time = { .tv_sec = seconds };
	sigset_t mask;

	sigemptyset(&mask);
	sigaddset(&mask, SIGTERM);
	sigaddset(&mask, SIGINT);
	sigprocmask(SIG_BLOCK, &mask, NULL);
	return sigtimedwait(&mask, NULL, &time) > 0;
}

/* Tells why there is no end yet, and waits.  Whether to go on. */
static bool try_later(const char *name, bool orphan, unsigned int pause)
{
	const char *whose = orphan ? "its users wait; " : "";

	log_line(LOG_ERR, "%strying again in %u s", whose, pause);
	notify(NOTIFY_STATUS, "%s could not be taken over; trying again", name);
	if (!is_told_to_end(pause))
		return true;
	if (orphan)
		log_line(LOG_ERR,
			 "got the signal to end; its users wait for "
			 "'ublk-qcow2 recover %s'",
			 name);
	else
		log_line(LOG_ERR, "got the signal to end");
	return false;
}

static int serve_on(const char *name)
{
	unsigned int pause = PAUSE_MIN;
	bool orphan;
	int status;

	for (;;) {
		status = serve(name);
		if (status == EXIT_SUCCESS)
			return status;
		orphan = is_orphan(name);
		if (status != AGAIN && !orphan)
			break;
		if (!try_later(name, orphan, pause))
			break;
		pause = 2 * pause < PAUSE_MAX ? 2 * pause : PAUSE_MAX;
	}
	/* The manager tells that the unit failed; its status tells why. */
	notify(NOTIFY_STATUS, "%s", log_last_error());
	return status == EXIT_IN_USE ? status : EXIT_FAILURE;
}

int command_serve(const struct options *options)
{
	const char *wrong = name_check(options->subject);

	if (wrong)
		return complain_about(options->subject, "%s", wrong);
	if (command_begin(options->subject))
		return EXIT_FAILURE;
	/* As in the background, but for stdin, stdout and stderr. */
	process_fresh(-1, -1);
	umask(022);
	if (chdir("/"))
		return complain_about(options->subject, "/: %s",
				      strerror(errno));
	log_to_journal();
	notify_open();
	teardown_leftovers();
	return serve_on(options->subject);
}
