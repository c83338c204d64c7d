/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The reader of command lines from the inside; for command-line*.c only.
 */
#ifndef COMMAND_LINE_INSIDE_H
#define COMMAND_LINE_INSIDE_H

#include <stdint.h>

#include "plugin/common/command-line.h"

/* One reading of one command's line. */
struct reading {
	const struct program *program;
	const struct command *command;
	void *fields;
	unsigned int nr_given;		      /* options */
	uint32_t given;			      /* a bit for each in the table */
	const struct command_option *for_all; /* instead of arguments */
};

/* command-line.c */

/* Says in one line which word is wrong; returns EXIT_USAGE. */
int command_line_misuse(const struct program *program,
			const struct command *command, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* command-line-options.c */

/* Sets the fields of the options that are given; optind is then the index of
   the first argument.  Returns:
   0	all are taken
   -1	the user asked for help
   or the exit status of a misuse. */
int command_line_take_options(struct reading *reading, int argc, char **argv);

#endif /* COMMAND_LINE_INSIDE_H */
