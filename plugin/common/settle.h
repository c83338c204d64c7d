/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A known state for a process, started by any other.
 */
#ifndef SETTLE_H
#define SETTLE_H

#include <stdbool.h>

/* For every command, before anything else: the default for each signal, and an
   open file behind descriptors 0 to 2.  0 or -errno. */
int settle_command(void);

/* For a program that we run on behalf of the admin: an environment without
   anything from the process that started us. */
void settle_environment(void);

/* Has a service manager started us, to stay in the foreground? */
bool settle_is_managed(bool foreground);

/* For a process that stays: limits, signals, umask, directory, environment,
   nice, scheduling, processors, and the out-of-memory score, so that the kernel
   kills the process late when memory is short.  managed: a service manager has
   made the settings of a unit, and they stay.  SIGHUP, SIGTERM and SIGINT are
   blocked from here on: the caller reads them later, from a signalfd.  Calls
   tell with one line for each setting that fails. */
void settle_process(bool managed, void (*tell)(const char *line));

/* For such a program, before it is executed: the priority of any other
   program, and its likelihood of being killed when memory is short. */
void settle_program(void);

#endif /* SETTLE_H */
