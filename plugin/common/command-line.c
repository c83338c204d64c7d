// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Reads a command line by a program's table.
 *
 * This file alone deals with a wrong command line: one line names the wrong
 * word, and the exit status is 2.  The command judges whether a value makes
 * sense; here a number only has to be a number.
 */
#include <getopt.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "config.h"
#include "plugin/common/command-line-inside.h"
#include "plugin/common/log.h"

int command_line_misuse(const struct program *program,
			const struct command *command, const char *format, ...)
{
	va_list args;

	fprintf(stderr, "%s: ", program->complainer);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fprintf(stderr, "; see '%s%s%s --help'\n", program->name,
		command ? " " : "", command ? command->name : "");
	return EXIT_USAGE;
}

/* ---- arguments ---- */

/* Finds the word of "DOMAIN [DISK]" at this place, and returns the length of
   the word; 0: there is no such word. */
static size_t argument_word(const char *words, size_t place, const char **word)
{
	while (place-- && *words) {
		words += strcspn(words, " ");
		words += strspn(words, " ");
	}
	*word = words;
	return strcspn(words, " ");
}

/* A complaint about one would name nothing. */
static int refuse_empty(const struct reading *reading,
			const struct command_line *line)
{
	size_t i;

	for (i = 0; i < line->nr_arguments; i++)
		if (!*line->arguments[i])
			return command_line_misuse(
				reading->program, reading->command,
				"argument %zu is empty", i + 1);
	return 0;
}

static int take_arguments(const struct reading *reading,
			  const struct command_line *line)
{
	const struct command *command = reading->command;
	const struct command_option *for_all = reading->for_all;
	const size_t nr = line->nr_arguments;
	const char *word;
	size_t length;

	if (for_all && nr)
		return command_line_misuse(reading->program, command,
					   "'%s' and --%s exclude each other",
					   line->arguments[0], for_all->name);
	if (for_all && for_all->role == OPTION_ALONE && reading->nr_given > 1)
		return command_line_misuse(reading->program, command,
					   "--%s excludes every other option",
					   for_all->name);
	length = argument_word(command->arguments, nr, &word);
	if (!for_all && length && *word != '[' &&
	    !(nr && strstr(command->arguments, "...")))
		return command_line_misuse(reading->program, command,
					   "%.*s is missing",
					   (int)strcspn(word, " ."), word);
	if (nr && !strstr(command->arguments, "...") &&
	    !argument_word(command->arguments, nr - 1, &word))
		return command_line_misuse(reading->program, command,
					   "'%s' is one argument too many",
					   line->arguments[nr - 1]);
	return refuse_empty(reading, line);
}

/* ---- commands ---- */

static bool read_command(struct reading *reading, int argc, char **argv,
			 struct command_line *line, int *status)
{
	*status = command_line_take_options(reading, argc, argv);
	if (*status < 0) {
		usage_put_command(stdout, reading->program, reading->command);
		*status = complain_of_output(EXIT_SUCCESS);
		return false;
	}
	if (*status)
		return false;
	line->arguments = argv + optind;
	line->nr_arguments = argc - optind;
	*status = take_arguments(reading, line);
	return !*status;
}

static const struct command *find_command(const struct program *program,
					  const char *name)
{
	size_t i;

	for (i = 0; i < program->nr_commands; i++)
		if (!strcmp(name, program->commands[i].name))
			return &program->commands[i];
	return NULL;
}

static bool asks_for_help(const char *word)
{
	return !strcmp(word, "help") || !strcmp(word, "--help") ||
	       !strcmp(word, "-h");
}

static bool asks_for_version(const char *word)
{
	return !strcmp(word, "--version") || !strcmp(word, "-V");
}

/* `help`, `help COMMAND`, and the same as options.  Another program explains a
   foreign command: `help libvirt X` becomes `libvirt help X`.  True: the
   caller reads argv on as a command. */
static bool give_help(const struct program *program, int argc, char **argv,
		      int *status)
{
	const struct command *command;

	if (argc < 3 || *argv[1] == '-') {
		usage_put_program(stdout, program);
		*status = complain_of_output(EXIT_SUCCESS);
		return false;
	}
	/* `help --help`. */
	command = find_command(program,
			       asks_for_help(argv[2]) ? argv[1] : argv[2]);
	if (!command) {
		*status = command_line_misuse(program, NULL,
					      "'%s' is no command", argv[2]);
		return false;
	}
	if (!command->foreign) {
		usage_put_command(stdout, program, command);
		*status = complain_of_output(EXIT_SUCCESS);
		return false;
	}
	argv[1] = argv[2];
	argv[2] = (char *)"help";
	return true;
}

bool command_line_read(const struct program *program, int argc, char **argv,
		       void *options, struct command_line *line, int *status)
{
	struct reading reading = { .program = program, .fields = options };

	if (argc < 2) {
		*status = command_line_misuse(program, NULL,
					      "a command is missing");
		return false;
	}
	if (asks_for_help(argv[1]) && !give_help(program, argc, argv, status))
		return false;
	if (asks_for_version(argv[1])) {
		puts(PACKAGE_STRING);
		*status = complain_of_output(EXIT_SUCCESS);
		return false;
	}
	reading.command = find_command(program, argv[1]);
	if (!reading.command) {
		*status = command_line_misuse(program, NULL,
					      *argv[1] == '-' ?
						      "%s is no option" :
						      "'%s' is no command",
					      argv[1]);
		return false;
	}
	line->command = reading.command - program->commands;
	line->arguments = argv + 2;
	line->nr_arguments = argc - 2;
	if (reading.command->foreign)
		return true;
	return read_command(&reading, argc - 1, argv + 1, line, status);
}
