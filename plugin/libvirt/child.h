/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Children of the hook, none of which can keep it waiting.
 */
#ifndef CHILD_H
#define CHILD_H

#include <stddef.h>

/* What a child does: returns its exit status.  What it writes on stderr is
   for its parent; stdin and stdout are /dev/null. */
typedef int child_fn(const void *argument);

/* Runs a child for at most that long and takes the first size bytes of what
   it says; *length tells how many these are.  Returns its exit status;
   -ETIMEDOUT: it was killed then; -EINTR: a signal ended it; -errno. */
int child_run(child_fn *work, const void *argument, int milliseconds,
	      void *said, size_t size, size_t *length);

#define CHILD_LINE_MAX 1024

/* Runs a program, argv[0] found by PATH, as child_run() does.  line is the
   last line that it says, without control characters and without the name
   of our program before it. */
int child_program(const char *const *argv, int milliseconds,
		  char line[CHILD_LINE_MAX]);

/* The same for a program that answers on stdout; what it says on stderr is
   lost. */
int child_ask(const char *const *argv, int milliseconds,
	      char line[CHILD_LINE_MAX]);

#endif /* CHILD_H */
