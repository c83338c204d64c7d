// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Reads a command line by a program's table.
 *
 * getopt_long() gets the options of one command only, so an option of another
 * command is unknown here, and the complaint names the option and not the word
 * after it.  A long option has a number above every letter: getopt_long() then
 * tells in optopt which option lacks its value or must not have one.
 *
 * A wrong command line is a matter between the user and this file: one line
 * says which word is wrong, and the exit status is 2.  Whether a value makes
 * sense is for the command to judge; here a number only has to be one.
 */
#include <assert.h>
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "config.h"
#include "plugin/common/command-line-inside.h"

#define OPTIONS_MAX 32
#define LONG_FIRST  256 /* above every letter */
#define LONG_HELP   (LONG_FIRST + OPTIONS_MAX)
#define WORD_MAX    64

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

/* ---- options ---- */

/* What getopt_long() is to know of a command. */
static void list_options(const struct command *command,
			 struct option longs[OPTIONS_MAX + 2],
			 char letters[2 * OPTIONS_MAX + 3])
{
	const struct command_option *option;
	size_t i, nr = 0;

	assert(command->nr_options <= OPTIONS_MAX);
	letters = stpcpy(letters, ":h");
	for (i = 0; i < command->nr_options; i++) {
		option = &command->options[i];
		if (option->letter)
			*letters++ = option->letter;
		if (option->letter && option->kind != OPTION_FLAG)
			*letters++ = ':';
		if (option->name)
			longs[nr++] = (struct option){
				.name = option->name,
				.has_arg = option->kind == OPTION_FLAG ?
						   no_argument :
						   required_argument,
				.val = LONG_FIRST + i,
			};
	}
	*letters = '\0';
	longs[nr++] = (struct option){ "help", no_argument, NULL, LONG_HELP };
	longs[nr] = (struct option){ 0 };
}

/* NULL: it has none with this letter or number. */
static const struct command_option *find_option(const struct command *command,
						int found)
{
	size_t i;

	if (found >= LONG_FIRST)
		return &command->options[found - LONG_FIRST];
	for (i = 0; i < command->nr_options; i++)
		if (command->options[i].letter == found)
			return &command->options[i];
	return NULL;
}

/* The option as the user wrote it. */
static const char *option_word(const struct command_option *option, int found,
			       char word[WORD_MAX])
{
	if (found >= LONG_FIRST)
		snprintf(word, WORD_MAX, "--%s", option->name);
	else
		snprintf(word, WORD_MAX, "-%c", found);
	return word;
}

/* Which of "one|two" it is; -1: none. */
static int find_choice(const char *choices, const char *text)
{
	const size_t length = strlen(text);
	int i;

	for (i = 0;; i++) {
		const size_t end = strcspn(choices, "|");

		if (end == length && !strncmp(choices, text, length))
			return i;
		if (!choices[end])
			return -1;
		choices += end + 1;
	}
}

static bool get_number(const char *text, long *number)
{
	char *end;

	errno = 0;
	*number = strtol(text, &end, 10);
	return end != text && !*end && !errno && *number >= 0;
}

static bool get_count(const char *text, unsigned int *count)
{
	long number;

	if (!get_number(text, &number) || number > UINT_MAX)
		return false;
	*count = number;
	return true;
}

static bool get_path(const char *text, char path[PATH_MAX])
{
	return *text && snprintf(path, PATH_MAX, "%s", text) < PATH_MAX;
}

/* Sets the option's field; false: the text is no value for it. */
static bool set_field(const struct command_option *option, void *fields,
		      const char *text)
{
	char *field = (char *)fields + option->offset;
	int choice;

	switch (option->kind) {
	case OPTION_FLAG:
		*(bool *)field = true;
		return true;
	case OPTION_NUMBER:
		return get_number(text, (long *)field);
	case OPTION_COUNT:
		return get_count(text, (unsigned int *)field);
	case OPTION_PATH:
		return get_path(text, field);
	case OPTION_TEXT:
		*(const char **)field = text;
		return true;
	case OPTION_CHOICE:
		*(const char **)field = text;
		return find_choice(option->choices, text) >= 0;
	case OPTION_SECOND:
		choice = find_choice(option->choices, text);
		*(bool *)field = choice == 1;
		return choice >= 0;
	}
	return false;
}

static int misuse_value(const struct reading *reading,
			const struct command_option *option, const char *word)
{
	if (option->choices)
		return command_line_misuse(
			reading->program, reading->command,
			"'%s' is no value for %s; allowed: %s", optarg, word,
			option->choices);
	return command_line_misuse(reading->program, reading->command,
				   "'%s' is no value for %s", optarg, word);
}

/* getopt_long() knows no such option, or not with this value. */
static int misuse_option(const struct reading *reading, char **argv)
{
	char word[WORD_MAX];

	if (optopt == LONG_HELP)
		return command_line_misuse(reading->program, reading->command,
					   "--help takes no value");
	if (optopt >= LONG_FIRST)
		return command_line_misuse(
			reading->program, reading->command, "%s takes no value",
			option_word(find_option(reading->command, optopt),
				    optopt, word));
	if (optopt)
		return command_line_misuse(reading->program, reading->command,
					   "-%c is no option of '%s'", optopt,
					   reading->command->name);
	return command_line_misuse(reading->program, reading->command,
				   "%s is no option of '%s'", argv[optind - 1],
				   reading->command->name);
}

static int take_option(struct reading *reading, int found, char **argv)
{
	const struct command_option *option;
	char word[WORD_MAX];

	if (found == '?')
		return misuse_option(reading, argv);
	option = find_option(reading->command, found == ':' ? optopt : found);
	assert(option);
	option_word(option, found == ':' ? optopt : found, word);
	if (found == ':')
		return command_line_misuse(reading->program, reading->command,
					   "%s needs a value", word);
	reading->nr_given++;
	if (option->role != OPTION_PLAIN)
		reading->for_all = option;
	if (!set_field(option, reading->fields, optarg))
		return misuse_value(reading, option, word);
	return 0;
}

int command_line_take_options(struct reading *reading, int argc, char **argv)
{
	struct option longs[OPTIONS_MAX + 2];
	char letters[2 * OPTIONS_MAX + 3];
	int found, ret = 0;

	list_options(reading->command, longs, letters);
	opterr = 0;
	optind = 0;
	while (!ret &&
	       (found = getopt_long(argc, argv, letters, longs, NULL)) != -1) {
		if (found == 'h' || found == LONG_HELP)
			return -1;
		ret = take_option(reading, found, argv);
	}
	return ret;
}

/* ---- arguments ---- */

/* The word of "DOMAIN [DISK]" at this place; its length, 0: there is none. */
static size_t argument_word(const char *words, size_t place, const char **word)
{
	while (place-- && *words) {
		words += strcspn(words, " ");
		words += strspn(words, " ");
	}
	*word = words;
	return strcspn(words, " ");
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
	if (!nr || strstr(command->arguments, "..."))
		return 0;
	if (!argument_word(command->arguments, nr - 1, &word))
		return command_line_misuse(reading->program, command,
					   "'%s' is one argument too many",
					   line->arguments[nr - 1]);
	return 0;
}

/* ---- commands ---- */

static bool read_command(struct reading *reading, int argc, char **argv,
			 struct command_line *line, int *status)
{
	*status = command_line_take_options(reading, argc, argv);
	if (*status < 0) {
		usage_put_command(stdout, reading->program, reading->command);
		*status = EXIT_SUCCESS;
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

/* `help`, `help COMMAND`, and the same as options.  Of a foreign command the
   other program tells: `help libvirt X` becomes `libvirt help X`.  True: argv
   is to be read on as a command. */
static bool give_help(const struct program *program, int argc, char **argv,
		      int *status)
{
	const struct command *command;

	*status = EXIT_SUCCESS;
	if (argc < 3 || *argv[1] == '-') {
		usage_put_program(stdout, program);
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
		*status = EXIT_SUCCESS;
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
