/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The administrator's executables in hooks.d, run when something befalls a
 * disk: EVENT DEVICE, with the details in the environment.
 */
#ifndef HOOKS_H
#define HOOKS_H

#include <stdbool.h>

#include "plugin/common/disk-event.h"
#include "plugin/common/process.h"
#include "plugin/common/state.h"

#define HOOKS_PENDING_MAX 8

/* Events whose executables have not run yet, in order; and the child that
   runs those of the first one. */
struct hooks {
	struct job job;
	bool told;		 /* which files of hooks.d cannot be run */
	enum disk_event running; /* the child's event */
	unsigned int nr_pending;
	struct hook {
		enum disk_event event;
		unsigned int recoveries;
		pid_t server;
		char reason[256];
	} pending[HOOKS_PENDING_MAX];
};

void hooks_init(struct hooks *hooks);

/* Has the executables run for an event that befell this server, after those
   of earlier events.  Never waits.  False: they will not run. */
bool hooks_run(struct hooks *hooks, const struct disk *disk,
	       enum disk_event event, pid_t server);

/* Do they run for such an event, or will they? */
bool hooks_have(const struct hooks *hooks, enum disk_event event);

/* hooks->job.pidfd has become readable.  Returns the event that all of them
   have heard of. */
enum disk_event hooks_finished(struct hooks *hooks, const struct disk *disk);

#endif /* HOOKS_H */
