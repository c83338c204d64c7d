/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The end of an overlay.
 */
#ifndef OVERLAY_H
#define OVERLAY_H

#include <stdbool.h>

#include "qcow/lock.h"

/* Was it merged, so that nobody may serve it? */
bool overlay_is_merged(const char *overlay);

/* Takes the lock of a writer, as soon as nobody has it open; waits for a moment
   only.  0 or -errno. */
int overlay_lock(const char *overlay, struct qcow_lock **lock,
		 struct qcow_error *error);

/* Removes it and its journal, and gives up the lock.  Returns the exit
   status. */
int overlay_remove_locked(const char *overlay, struct qcow_lock *lock);

/* Removes it if it was merged; another file may have that name by now, and
   stays.  Returns the exit status. */
int overlay_remove_merged(const char *overlay);

#endif /* OVERLAY_H */
