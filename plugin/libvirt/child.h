/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Children of the hook, none of which can keep it waiting.
 */
#ifndef CHILD_H
#define CHILD_H

#include <stddef.h>

/* The work of a child: returns its exit status.  Its stderr goes to the parent;
   its stdin and stdout are /dev/null. */
typedef int child_fn(const void *argument);

/* Runs a child for at most that long, and keeps the first *length, at most
   size, bytes of its stderr in said.  Returns:
   0 to 255	the child's exit status
   -ETIMEDOUT	the time was over, and the child was killed
   -EINTR	a signal ended the child
   or another -errno. */
int child_run(child_fn *work, const void *argument, int milliseconds,
	      void *said, size_t size, size_t *length);

#define CHILD_LINE_MAX 1024

/* Runs a program as child_run() does; program_find() finds argv[0].  line is
   the last line that the program says, without control characters. */
int child_program(const char *const *argv, int milliseconds,
		  char line[CHILD_LINE_MAX]);

/* The same for a program that answers on stdout; its stderr is lost. */
int child_ask(const char *const *argv, int milliseconds,
	      char line[CHILD_LINE_MAX]);

#endif /* CHILD_H */
