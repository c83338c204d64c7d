/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The command lines of our programs, by tables: which commands a program has,
 * and which arguments and options each of them takes.
 */
#ifndef COMMAND_LINE_H
#define COMMAND_LINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#define EXIT_USAGE 2

/* The type of an option's value, and of the field that takes it. */
enum option_kind {
	OPTION_FLAG,   /* bool; the option takes no value */
	OPTION_TEXT,   /* const char * */
	OPTION_PATH,   /* char[PATH_MAX] */
	OPTION_NUMBER, /* long, 0 at least */
	OPTION_COUNT,  /* unsigned int */
	OPTION_CHOICE, /* const char *, one of choices */
	OPTION_SECOND, /* bool: is it the second of choices? */
	OPTION_OTHER,  /* struct disk_options: the disk_number of its name */
};

enum option_role {
	OPTION_PLAIN,
	OPTION_INSTEAD, /* stands for the arguments */
	OPTION_ALONE,	/* stands for the arguments, and takes no option */
};

struct command_option {
	const char *name; /* after --; NULL: it has a letter only */
	char letter;	  /* after -; 0: it has a name only */
	enum option_kind kind;
	enum option_role role;
	const char *value;    /* ID, say; NULL: none, or the choices */
	const char *choices;  /* "leaks|all", say */
	const char *excludes; /* the name of an option; NULL: none */
	size_t offset;	      /* of the field, in the program's options */
	const char *help;     /* sentences; this module breaks the lines */
};

struct command {
	const char *name;
	const char *arguments;		      /* "DOMAIN [DISK]", "DEV..." */
	const struct command_option *options; /* NULL: none */
	size_t nr_options;
	bool foreign; /* another program reads its command line */
	const char *help;
};

struct program {
	const char *name;	/* as the user calls it, in one word or two */
	const char *complainer; /* the beginning of its complaints */
	const char *purpose;
	const char *closing; /* the last lines of its help */
	const struct command *commands;
	size_t nr_commands;
};

/* A command line that was read. */
struct command_line {
	size_t command;	  /* in the program's table */
	char **arguments; /* NULL behind the last one */
	size_t nr_arguments;
};

/* Reads a command line and sets the fields in options.  Help and version go to
   stdout, a complaint to stderr.  Returns true if line is a command to run;
   else *status is the exit status. */
bool command_line_read(const struct program *program, int argc, char **argv,
		       void *options, struct command_line *line, int *status);

/* ---- usage.c ---- */

/* Prints the help of the program: all commands. */
void usage_put_program(FILE *file, const struct program *program);

/* Prints the help of one command. */
void usage_put_command(FILE *file, const struct program *program,
		       const struct command *command);

#endif /* COMMAND_LINE_H */
