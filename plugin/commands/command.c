// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Functions that several commands need.
 *
 * A command that changes a disk locks the disk before it reads the record, and
 * holds the lock until its end.  So the record stays true; only the disk's own
 * supervisor may change it.  Therefore the command asks the supervisor to
 * change the disk, and never does so behind its back.
 */
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <time.h>
#include <unistd.h>

#include "plugin/commands/command.h"
#include "plugin/common/log.h"
#include "plugin/server/fault.h"

#define END_PATIENCE	2000  /* ms; between the socket's end and its own */
#define SOCKET_PATIENCE 2000  /* ms */
#define CALL_INTERVAL	200   /* ms */
#define KILL_PATIENCE	10000 /* ms */

int command_begin(const char *subject)
{
	int ret;

	if (geteuid())
		return complain_about(subject, "only root may do this");
	ret = state_open();
	if (ret)
		return complain_about(subject, "cannot make " STATE_DIR ": %s",
				      strerror(-ret));
	return 0;
}

int command_complain(const struct disk *disk, const char *format, ...)
{
	char subject[PATH_MAX + 32], text[1536];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	snprintf(subject, sizeof(subject), "/dev/ublkb%d (%s)", disk->id,
		 disk->image);
	return complain_about(subject, "%s", text);
}

void command_unreadable(int id, int error, void *status)
{
	const char *why =
		error == -EPROTO ?
			"was written by another version of this program; use "
			"that version for this disk" :
		error == -EBADMSG ?
			"is damaged; the disk is served all the same as long "
			"as its processes live" :
			strerror(-error);

	*(int *)status = complain(STATE_DIR "/%d.disk: %s", id, why);
}

/* While we waited, the disk may have gone, and another may have got its id. */
int command_lock(struct disk *disk, int *lock)
{
	const uint64_t nonce = disk->nonce;
	int ret = state_lock(disk->id, COMMAND_PATIENCE, lock);

	if (ret)
		return ret;
	ret = disk_load(disk->id, disk);
	if (!ret && disk->nonce != nonce)
		ret = -ENOENT;
	if (ret)
		close(*lock);
	return ret;
}

int command_find(const char *dev, struct disk *disk, int *lock)
{
	int ret = disk_find_wide(dev, disk);

	if (!ret)
		ret = command_lock(disk, lock);
	if (!ret)
		return 0;
	if (ret == -ENOENT)
		return complain_about(dev,
				      "no such disk; see 'ublk-qcow2 list'");
	if (ret == -EBUSY)
		return complain_about(dev, "another command is working on it");
	if (ret == -EPROTO)
		return complain_about(dev, "its record was written by another "
					   "version of this program; use that "
					   "version for it");
	return complain_about(dev,
			      "cannot read its record in " STATE_DIR ": %s",
			      strerror(-ret));
}

/* A living supervisor whose socket is gone makes another one when it is
   asked to by a signal. */
static int call_again(const struct disk *disk, int pidfd,
		      const struct appeal *appeal, int *call)
{
	const struct timespec interval = { .tv_nsec = 20000000 };
	uint64_t end = clock_ms() + SOCKET_PATIENCE;
	int ret;

	if (pidfd_send_signal(pidfd, SIGHUP, NULL, 0))
		return -errno;
	do {
		nanosleep(&interval, NULL);
		ret = rpc_call(disk->id, appeal, call);
	} while ((ret == -ENOENT || ret == -ECONNREFUSED) && clock_ms() < end);
	return ret;
}

static int appeal_to(const struct disk *disk, int pidfd,
		     const struct appeal *appeal, int milliseconds,
		     struct outcome *outcome)
{
	int call;
	int ret = rpc_call(disk->id, appeal, &call);

	/* The socket goes a moment before the process. */
	if ((ret == -ENOENT || ret == -ECONNREFUSED) &&
	    !process_wait(pidfd, END_PATIENCE))
		ret = call_again(disk, pidfd, appeal, &call);
	if (ret)
		return ret;
	fault_die("die-asked");
	ret = rpc_wait(call, milliseconds, outcome);
	close(call);
	return ret;
}

int command_kill_supervisor(const struct disk *disk)
{
	int pidfd;
	int ret = process_open(&disk->supervisor, &pidfd);

	if (ret)
		return ret == -ESRCH ? 0 : ret;
	ret = process_kill(pidfd);
	if (!ret && !process_wait(pidfd, KILL_PATIENCE))
		ret = -ETIMEDOUT;
	close(pidfd);
	return ret;
}

/* A supervisor that closes the call and lives on has not understood us.  Or it
   has become the installed program (`upgrade`) before it heard us: then it
   listens anew, and hears us now. */
static int appeal_again(const struct disk *disk, int pidfd,
			const struct appeal *appeal, int milliseconds,
			struct outcome *outcome)
{
	const uint64_t end = clock_ms() + END_PATIENCE;
	int ret;

	do
		ret = appeal_to(disk, pidfd, appeal, milliseconds, outcome);
	while (ret == -EPIPE && !process_wait(pidfd, CALL_INTERVAL) &&
	       clock_ms() < end);
	return ret;
}

/* Only a pidfd tells that a process is dead. */
int command_appeal(const struct disk *disk, const struct appeal *appeal,
		   int milliseconds, struct outcome *outcome)
{
	int pidfd;
	int ret = process_open(&disk->supervisor, &pidfd);

	if (ret)
		return ret;
	ret = appeal_again(disk, pidfd, appeal, milliseconds, outcome);
	if (ret && ret != -ETIMEDOUT && process_wait(pidfd, END_PATIENCE))
		ret = -ESRCH;
	else if (ret == -EPIPE)
		ret = -EPROTO;
	close(pidfd);
	return ret;
}

int command_appeal_later(const struct disk *disk, const struct appeal *appeal,
			 int milliseconds, int longer, struct outcome *outcome)
{
	const struct timespec interval = { .tv_nsec = CALL_INTERVAL * 1000000 };
	const uint64_t end = clock_ms() + longer;
	int ret;

	for (;;) {
		ret = command_appeal(disk, appeal, milliseconds, outcome);
		if (ret || !outcome->later || clock_ms() >= end)
			return ret;
		nanosleep(&interval, NULL);
	}
}

int command_deaf(const struct disk *disk, int error)
{
	int pid = disk->supervisor.pid;

	if (error == -EPROTO)
		return command_complain(disk,
					"its supervisor (process %d) is of "
					"another version of this program; the "
					"disk is served all the same: use that "
					"version, or run 'ublk-qcow2 upgrade "
					"%d'",
					pid, disk->id);
	if (error == -EXDEV)
		return command_complain(
			disk, "its supervisor is in another pid "
			      "namespace, of a container that shares " STATE_DIR
			      "; run this there");
	if (error == -ENOENT || error == -ECONNREFUSED)
		return command_complain(disk,
					"its supervisor (process %d) lives but "
					"has lost its socket in " STATE_DIR
					"; replace the supervisor by 'kill -9 "
					"%d' and 'ublk-qcow2 recover %d'",
					pid, pid, disk->id);
	if (error == -ETIME)
		return command_complain(disk,
					"its supervisor (process %d) takes no "
					"calls: it is stopped, or waits for "
					"something that does not come; see its "
					"state in /proc/%d/status",
					pid, pid);
	return command_complain(disk,
				"its supervisor (process %d) does not answer: "
				"%s",
				pid, strerror(-error));
}

struct rounds {
	bool (*wanted)(const struct disk *disk);
	int (*work)(struct disk *disk, int lock);
	int status;
};

static int work_on(const struct disk *found, void *opaque)
{
	struct rounds *rounds = opaque;
	struct disk disk = *found;
	int lock, ret;

	if (rounds->wanted && !rounds->wanted(found))
		return 0;
	ret = command_lock(&disk, &lock);
	if (ret == -ENOENT)
		return 0;
	if (ret) {
		rounds->status = command_complain(
			found, "another command is working on it");
		return 0;
	}
	if (rounds->work(&disk, lock))
		rounds->status = EXIT_FAILURE;
	close(lock);
	return 0;
}

int command_each(bool (*wanted)(const struct disk *disk),
		 int (*work)(struct disk *disk, int lock))
{
	struct rounds rounds = { wanted, work, EXIT_SUCCESS };
	int ret = disk_each(work_on, &rounds);

	if (ret)
		rounds.status = complain(STATE_DIR ": %s", strerror(-ret));
	disk_each_unreadable(command_unreadable, &rounds.status);
	return rounds.status;
}
