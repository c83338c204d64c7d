/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The world of `recovery`: its answers, and the calls that it has seen. */
#ifndef RECOVERY_H
#define RECOVERY_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include "plugin/common/state.h"
#include "plugin/supervisor/teardown.h"

extern struct played {
	/* its answers */
	uint64_t now;
	int spawn_result;
	enum device_presence presence;

	/* the calls */
	unsigned int spawned, settled, finished;
	unsigned int dropped, switched;
	pid_t dead; /* the last server that died */
	bool settled_failed, spawned_before_hook;
	int hooked; /* the last event; -1: none since the last look */
	struct disk saved;
} played;

#endif /* RECOVERY_H */
