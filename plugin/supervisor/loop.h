/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The file behind a loop device. */
#ifndef PLUGIN_SUPERVISOR_LOOP_H
#define PLUGIN_SUPERVISOR_LOOP_H

#include <stdbool.h>

struct qcow_error;
struct qcow_identity;
struct qcow_lock;

/* Locks it as the device itself is locked.  *lock is NULL if this is no loop
   device, or a part of one.  -EBUSY: somebody else uses that file. */
int loop_lock(const char *device, const struct qcow_identity *identity,
	      bool read_only, struct qcow_lock **lock,
	      struct qcow_error *error);

#endif
