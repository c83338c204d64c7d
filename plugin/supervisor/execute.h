/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Running one of the administrator's executables.
 */
#ifndef EXECUTE_H
#define EXECUTE_H

/* Runs the executable at path, the base name of which is name, with the
   arguments event and device, and waits for its end, thirty seconds at most.
   The log gets its output, and its failure. */
void execute(const char *path, const char *name, const char *event,
	     const char *device);

#endif /* EXECUTE_H */
