// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The options of one command's line.
 *
 * getopt_long() gets the options of one command only, so an option of another
 * command is unknown here, and the complaint names the option and not the word
 * after it.  A long option has a number above every letter: getopt_long() then
 * tells in optopt which option lacks its value or must not have one.
 */
#include <assert.h>
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "plugin/common/command-line-inside.h"
#include "plugin/common/disk-number.h"

#define OPTIONS_MAX 32
#define LONG_FIRST  256 /* above every letter */
#define LONG_HELP   (LONG_FIRST + OPTIONS_MAX)
#define WORD_MAX    64

/* The options of a command, as getopt_long() takes them. */
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

/* NULL: the command has no option with this letter or number. */
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

/* The index of the text in "one|two"; -1: the text is none of these. */
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

/* Sets the option's field; false: the text is no value for the option. */
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
	case OPTION_OTHER:
		return disk_number_take(disk_number_of_key(option->name), text,
					(struct disk_options *)field);
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
	char numbers[DISK_NUMBER_TEXT_MAX];
	const char *allowed = option->choices;

	if (option->kind == OPTION_OTHER) {
		disk_number_describe(disk_number_of_key(option->name), numbers);
		allowed = numbers;
	}
	if (allowed)
		return command_line_misuse(
			reading->program, reading->command,
			"'%s' is no value for %s; allowed: %s", optarg, word,
			allowed);
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
	reading->given |= 1u << (option - reading->command->options);
	if (option->role != OPTION_PLAIN)
		reading->for_all = option;
	if (!set_field(option, reading->fields, optarg))
		return misuse_value(reading, option, word);
	return 0;
}

static bool is_given(const struct reading *reading, const char *name)
{
	const struct command *command = reading->command;
	size_t i;

	for (i = 0; i < command->nr_options; i++)
		if (command->options[i].name &&
		    !strcmp(command->options[i].name, name))
			return reading->given >> i & 1;
	return false;
}

static int judge_together(const struct reading *reading)
{
	const struct command *command = reading->command;
	size_t i;

	for (i = 0; i < command->nr_options; i++) {
		const struct command_option *option = &command->options[i];

		if (reading->given >> i & 1 && option->excludes &&
		    is_given(reading, option->excludes))
			return command_line_misuse(
				reading->program, command,
				"--%s and --%s exclude each other",
				option->excludes, option->name);
	}
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
	return ret ? ret : judge_together(reading);
}
