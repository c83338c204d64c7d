// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The help of a program and of its commands, made from the tables by which the
 * command line is read, so that the two cannot differ.
 *
 * A command's help is its usage, an empty line, a description, an empty line,
 * and its options in two columns.  Lines have less than 80 columns.
 */
#include <string.h>

#include "plugin/common/command-line.h"

#define WIDTH  79
#define COLUMN 23 /* of the options' texts */
#define WORD   128

/* The place of the next word. */
struct cursor {
	FILE *file;
	int column;
	int indent; /* of the lines that follow */
};

/* Puts one word behind a space, or onto a new line if it does not fit. */
static void put_word(struct cursor *cursor, const char *word, int length)
{
	if (cursor->column + 1 + length > WIDTH) {
		fprintf(cursor->file, "\n%*s", cursor->indent, "");
		cursor->column = cursor->indent;
	} else if (cursor->column > cursor->indent) {
		fputc(' ', cursor->file);
		cursor->column++;
	}
	fprintf(cursor->file, "%.*s", length, word);
	cursor->column += length;
}

/* Puts sentences, whose spaces are where lines may be broken. */
static void put_text(struct cursor *cursor, const char *text)
{
	while (*text) {
		const int length = strcspn(text, " ");

		put_word(cursor, text, length);
		text += length;
		text += strspn(text, " ");
	}
}

/* "ID"; "none|writeback"; "" of a flag. */
static const char *value_of(const struct command_option *option)
{
	return option->value ?: option->choices ?: "";
}

/* "-n ID" or "--name NAME". */
static void option_usage(const struct command_option *option, char word[WORD])
{
	const char *value = value_of(option);
	const char *gap = *value ? " " : "";

	if (option->letter)
		snprintf(word, WORD, "-%c%s%s", option->letter, gap, value);
	else
		snprintf(word, WORD, "--%s%s%s", option->name, gap, value);
}

/* "-n, --id ID". */
static void option_head(const struct command_option *option, char word[WORD])
{
	const char *value = value_of(option);
	const char *gap = *value ? " " : "";

	if (option->letter && option->name)
		snprintf(word, WORD, "-%c, --%s%s%s", option->letter,
			 option->name, gap, value);
	else
		option_usage(option, word);
}

static const struct command_option *find_for_all(const struct command *command)
{
	size_t i;

	for (i = 0; i < command->nr_options; i++)
		if (command->options[i].role != OPTION_PLAIN)
			return &command->options[i];
	return NULL;
}

static void put_plain_options(struct cursor *cursor,
			      const struct command *command)
{
	char word[WORD], brackets[WORD + 2];
	size_t i;

	for (i = 0; i < command->nr_options; i++) {
		if (command->options[i].role != OPTION_PLAIN)
			continue;
		option_usage(&command->options[i], word);
		put_word(cursor, brackets,
			 snprintf(brackets, sizeof(brackets), "[%s]", word));
	}
}

/* Prints one line for the arguments, and one for the option in their place. */
static void put_usage(FILE *file, int indent, const struct program *program,
		      const struct command *command)
{
	const struct command_option *for_all = find_for_all(command);
	struct cursor cursor = { .file = file, .indent = indent + 4 };

	cursor.column = fprintf(file, "%*s%s %s", indent, "", program->name,
				command->name);
	put_text(&cursor, command->arguments);
	put_plain_options(&cursor, command);
	fputc('\n', file);
	if (!for_all)
		return;
	cursor.column = fprintf(file, "%*s%s %s --%s", indent, "",
				program->name, command->name, for_all->name);
	if (for_all->role == OPTION_INSTEAD)
		put_plain_options(&cursor, command);
	fputc('\n', file);
}

static void put_option(FILE *file, const struct command_option *option)
{
	struct cursor cursor = { .file = file, .indent = COLUMN };
	char head[WORD];
	int length;

	option_head(option, head);
	length = fprintf(file, "  %s", head);
	if (length + 2 > COLUMN)
		length = fprintf(file, "\n") - 1;
	cursor.column = length + fprintf(file, "%*s", COLUMN - length, "");
	put_text(&cursor, option->help);
	fputc('\n', file);
}

void usage_put_program(FILE *file, const struct program *program)
{
	struct cursor cursor = { .file = file };
	size_t i;

	put_text(&cursor, program->purpose);
	fputs("\n\n", file);
	for (i = 0; i < program->nr_commands; i++)
		put_usage(file, 2, program, &program->commands[i]);
	fputc('\n', file);
	cursor.column = 0;
	put_text(&cursor, program->closing);
	fputc('\n', file);
}

void usage_put_command(FILE *file, const struct program *program,
		       const struct command *command)
{
	struct cursor cursor = { .file = file };
	size_t i;

	put_usage(file, 0, program, command);
	fputc('\n', file);
	put_text(&cursor, command->help);
	fputc('\n', file);
	if (command->nr_options)
		fputc('\n', file);
	for (i = 0; i < command->nr_options; i++)
		put_option(file, &command->options[i]);
}
