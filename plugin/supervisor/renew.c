// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A supervisor becomes the program that is installed, and stays the process
 * that it is: its pid is in records and units.
 *
 * The new program starts as after the death of the old one.  The record is all
 * that it needs: it adopts the living server, whose own locks on the files last
 * meanwhile (P4, R14), and listens anew.  So there is only one way to take a
 * disk over, and every other death tests that way.  Three things pass from the
 * one program to the other: the caller, which waits for the outcome; the
 * channel of the server; and a signal to end that was not obeyed yet, which
 * stays pending.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config.h"
#include "plugin/common/log.h"
#include "plugin/common/program.h"
#include "plugin/supervisor/notify.h"
#include "plugin/supervisor/renew.h"
#include "plugin/supervisor/supervisor.h"
#include "plugin/supervisor/watch.h"

/* Between two programs of different versions; a number is all that changes. */
#define WORD "--renewed"

enum { PROGRAM, SIGN, ID, CALLER, CHANNEL, HOW, NR_WORDS };

#define FOREGROUND 1
#define STAND_IN   2
#define MANAGED	   4

static void pass_on(int fd)
{
	if (fd >= 0)
		fcntl(fd, F_SETFD, 0);
}

static void keep_back(int fd)
{
	if (fd >= 0)
		fcntl(fd, F_SETFD, FD_CLOEXEC);
}

static int become(const struct supervisor *sv)
{
	char id[16], caller[16], channel[16], how[16];
	char *words[NR_WORDS + 1] = {
		[SIGN] = WORD,	     [ID] = id,	  [CALLER] = caller,
		[CHANNEL] = channel, [HOW] = how,
	};

	snprintf(id, sizeof(id), "%d", sv->disk.id);
	snprintf(caller, sizeof(caller), "%d", sv->caller);
	snprintf(channel, sizeof(channel), "%d", sv->channel);
	snprintf(how, sizeof(how), "%d",
		 (sv->foreground ? FOREGROUND : 0) |
			 (sv->stand_in ? STAND_IN : 0) |
			 (sv->managed ? MANAGED : 0));
	return program_become("ublk-qcow2", words);
}

void renew(struct supervisor *sv)
{
	int ret;

	/* The new program would not know them for its children. */
	if (sv->hooks.job.pidfd >= 0 || sv->leave.job.pidfd >= 0) {
		sv->renew_later = true;
		return;
	}
	log_line(LOG_NOTICE, "its supervisor becomes the installed program");
	if (sv->leave.next)
		raise(SIGTERM);
	pass_on(sv->caller);
	pass_on(sv->channel);
	notify_keep();
	ret = become(sv);
	notify_open();
	keep_back(sv->caller);
	keep_back(sv->channel);
	watch_settle(sv, true, "cannot execute the installed program: %s",
		     strerror(-ret));
}

bool renew_is_it(int argc, char **argv)
{
	return argc == NR_WORDS && !strcmp(argv[SIGN], WORD);
}

static int take(const char *word)
{
	int fd = atoi(word);

	keep_back(fd);
	return fd;
}

int renew_run(char **argv)
{
	const int how = atoi(argv[HOW]);
	struct task task = {
		.take_over = true,
		.stand_in = how & STAND_IN,
		.foreground = how & FOREGROUND,
		.managed = how & MANAGED,
		.lock = -1,
		.caller = take(argv[CALLER]),
		.channel = take(argv[CHANNEL]),
	};
	int ret = disk_load(atoi(argv[ID]), &task.disk);

	if (task.managed) {
		log_to_journal();
		notify_open();
	} else if (!task.foreground) {
		log_to_system();
	}
	if (ret || task.disk.supervisor.pid != getpid()) {
		log_line(LOG_ERR,
			 "%s: this is no record of a disk that this "
			 "process supervises",
			 argv[ID]);
		return EXIT_FAILURE;
	}
	return supervisor_run(&task);
}
