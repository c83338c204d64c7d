/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The supervisor: the process that outlives the servers of one disk and
 * starts the next one when one dies.
 */
#ifndef SUPERVISOR_H
#define SUPERVISOR_H

#include <stdbool.h>

#include "plugin/common/rpc.h"
#include "plugin/common/state.h"

/* The task of a new supervisor. */
struct task {
	struct disk disk;
	bool take_over;	 /* of a disk that has a record; else a new one: disk.id
			    is -1 or the user's choice */
	bool stand_in;	 /* `recover` began it: it gives the disk to the
			    supervisor of a service manager that asks */
	bool force;	 /* a new disk: open the image although
			    acknowledged writes may be lost */
	bool foreground; /* prints the device's name on stdout */
	bool managed;	 /* by a service manager or a run script */
	int lock;	 /* of the disk, inherited; a new one: -1 */
	int caller;	 /* socket of a command that waits, or -1 */
	int channel;	 /* of its living server, or -1 */
};

/* begin.c */

/* Supervises the disk until it ends; returns the exit status. */
int supervisor_run(const struct task *task);

/* launch.c */

/* Has a supervisor in the background do it and waits that long for the
   outcome; milliseconds may be negative.  *pid is the supervisor's.  Returns:
   0		*outcome is filled in
   -ETIMEDOUT	the supervisor goes on
   -EPIPE	the supervisor died
   or another -errno: there is none. */
int supervisor_launch(const struct task *task, int milliseconds,
		      struct outcome *outcome, pid_t *pid);

#endif /* SUPERVISOR_H */
