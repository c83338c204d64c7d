// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The commands of the stand-in for qemu-io, and which of them, and which
 * images, are left to QEMU's own program.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/wait.h>
#include <unistd.h>
#include "tests/foreign/stand-in.h"

#define WORDS 64

struct words {
	char *copy;
	int argc;
	char *argv[WORDS + 1];
};

static bool quit;

static void split(struct words *words, const char *line)
{
	char *rest = words->copy = strdup(line), *word;

	words->argc = 0;
	while (words->argc < WORDS && (word = strsep(&rest, " \n")))
		if (*word)
			words->argv[words->argc++] = word;
	words->argv[words->argc] = NULL;
}

/* ---- the commands ---- */

static int close_image(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	transfer_end();
	return served_close();
}

static int open_image(int argc, char **argv)
{
	struct asked asked = { 0 };

	command_parse_open(argc, argv, &asked);
	if (!served_is_open())
		return served_open(&asked);
	fprintf(stderr, "qemu-io: file open already, try 'help close'\n");
	return -EINVAL;
}

static int quit_program(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	quit = true;
	return 0;
}

static int print_length(int argc, char **argv)
{
	char text[64];

	(void)argc;
	(void)argv;
	words_size((double)served_size(), text, sizeof(text));
	puts(text);
	return 0;
}

static int grow(int argc, char **argv)
{
	int64_t size = words_number(argv[argc - 1]);

	return size < 0 ? (int)size : served_grow(size);
}

/* QEMU tells which parts of the file are allocated, after a flush. */
static int ask_qemu(int argc, char **argv)
{
	const char *qemu = getenv("STAND_IN_QEMU_IO");
	char line[128];
	int status;
	pid_t pid;

	snprintf(line, sizeof(line), "%s %s %s", argv[0],
		 argc > 1 ? argv[1] : "", argc > 2 ? argv[2] : "");
	if (!served_read_only())
		served_flush();
	fflush(stdout);
	pid = fork();
	if (!pid) {
		execl(qemu, "qemu-io", "-U", "-r", "-f", "qcow2", "-c", line,
		      served_path(), NULL);
		_exit(127);
	}
	return waitpid(pid, &status, 0) == pid && !status ? 0 : -EIO;
}

static int die(int argc, char **argv)
{
	fflush(stdout);
	if (argc == 1)
		abort();
	return raise(atoi(argv[1]));
}

static int wait_ms(int argc, char **argv)
{
	(void)argc;
	usleep(1000u * atoi(argv[1]));
	return 0;
}

static const struct command {
	const char *name, *alias;
	int min, max; /* arguments */
	bool without; /* an image */
	int (*run)(int argc, char **argv);
} commands[] = {
	{ "read", "r", 2, WORDS, false, transfer_read },
	{ "readv", "readv", 2, WORDS, false, transfer_read },
	{ "aio_read", "aio_read", 2, WORDS, false, transfer_read },
	{ "write", "w", 2, WORDS, false, transfer_write },
	{ "writev", "writev", 2, WORDS, false, transfer_write },
	{ "aio_write", "aio_write", 2, WORDS, false, transfer_write },
	{ "discard", "d", 2, WORDS, false, transfer_discard },
	{ "flush", "f", 0, 0, false, transfer_flush },
	{ "aio_flush", "aio_flush", 0, 0, false, transfer_wait },
	{ "alloc", "a", 1, 2, false, ask_qemu },
	{ "map", "map", 0, 0, false, ask_qemu },
	{ "length", "l", 0, 0, false, print_length },
	{ "truncate", "t", 1, 1, false, grow },
	{ "close", "c", 0, 0, false, close_image },
	{ "open", "o", 1, WORDS, true, open_image },
	{ "quit", "q", 0, WORDS, true, quit_program },
	{ "abort", "abort", 0, 0, true, die },
	{ "sigraise", "sigraise", 1, 1, true, die },
	{ "sleep", "sleep", 1, 1, true, wait_ms },
};

static const struct command *find(const char *name)
{
	for (size_t i = 0; i < sizeof(commands) / sizeof(*commands); i++)
		if (!strcmp(commands[i].name, name) ||
		    !strcmp(commands[i].alias, name))
			return &commands[i];
	return NULL;
}

/* As QEMU says it. */
static int count_is_wrong(const struct command *command, int count)
{
	if (count >= command->min && count <= command->max)
		return 0;
	fprintf(stderr, "bad argument count %d to %s, expected ", count,
		command->name);
	if (command->max == WORDS)
		fprintf(stderr, "at least %d arguments\n", command->min);
	else if (command->min == command->max)
		fprintf(stderr, "%d arguments\n", command->min);
	else
		fprintf(stderr, "between %d and %d arguments\n", command->min,
			command->max);
	return -EINVAL;
}

static int do_words(int argc, char **argv)
{
	const struct command *command = find(argv[0]);

	if (!command) {
		fprintf(stderr, "command \"%s\" not found\n", argv[0]);
		return -EINVAL;
	}
	if (!command->without && !served_is_open()) {
		fprintf(stderr, "no file open, try 'help open'\n");
		return -EINVAL;
	}
	if (count_is_wrong(command, argc - 1))
		return -EINVAL;
	return command->run(argc, argv);
}

int command_line(const char *line)
{
	struct words words;
	int ret = 0;

	split(&words, line);
	if (words.argc)
		ret = do_words(words.argc, words.argv);
	free(words.copy);
	fflush(stdout);
	return ret;
}

bool command_quit(void)
{
	return quit;
}

/* ---- calls for the engine, and others ---- */

/* "driver=qcow2,file.filename=PATH" is a qcow2 image, and no more is said. */
static const char *parse_node(char *text, struct asked *asked)
{
	bool qcow2 = false;
	char *item;

	while ((item = strsep(&text, ",")))
		if (!strcmp(item, "driver=qcow2"))
			qcow2 = true;
		else if (!strcmp(item, "file.driver=file"))
			continue;
		else if (!strncmp(item, "file.filename=", 14))
			asked->path = item + 14;
		else
			return "options of QEMU's block layer";
	return qcow2 ? NULL : "another format";
}

static const char *check_path(const char *path)
{
	const char *colon = path ? strchr(path, ':') : NULL;

	if (!path)
		return "no image";
	return colon && !strchr(path, '/')	  ? "another protocol" :
	       colon && colon < strchr(path, '/') ? "another protocol" :
						    NULL;
}

static const char *parse_option(int option, struct asked *asked)
{
	switch (option) {
	case 'r':
		asked->read_only = true;
		return NULL;
	case 'n':
		asked->direct = true;
		return NULL;
	case 't':
		asked->direct = !strcmp(optarg, "none");
		return NULL;
	case 'o':
		return parse_node(optarg, asked);
	case 'U':
		return "it is shared with a writer";
	default:
		return "an option of QEMU's block layer";
	}
}

const char *command_parse_open(int argc, char **argv, struct asked *asked)
{
	const char *why = NULL;
	int option;

	optind = 0;
	opterr = 0;
	while (!why && (option = getopt(argc, argv, "snCro:ki:t:d:U")) != -1)
		why = parse_option(option, asked);
	if (!why && optind < argc)
		asked->path = argv[optind];
	return why ? why : check_path(asked->path);
}

/* Options that take no part of the engine's. */
static const char *options_not_ours(int argc, char **argv)
{
	for (int i = 1; i < argc && *argv[i] == '-'; i++) {
		if (strchr(argv[i], 'c'))
			return "a compressed write";
		if (strchr(argv[i], 'b'))
			return "a virtual machine's state";
		if (strchr(argv[i], 'i'))
			return "QEMU's statistics";
		if (strpbrk(argv[i], "Psl") && !argv[i][2])
			i++;
	}
	return NULL;
}

static const char *words_not_ours(int argc, char **argv)
{
	const struct command *command = find(argv[0]);
	struct asked asked = { 0 };

	if (!command)
		return "a command that only QEMU's has";
	if (command->run == transfer_read || command->run == transfer_write)
		return options_not_ours(argc, argv);
	return command->run == open_image ?
		       command_parse_open(argc, argv, &asked) :
		       NULL;
}

const char *command_not_ours(const char *line)
{
	struct words words;
	const char *why = NULL;

	split(&words, line);
	if (words.argc)
		why = words_not_ours(words.argc, words.argv);
	free(words.copy);
	return why;
}

static const struct command *find_in(const char *line)
{
	const struct command *command = NULL;
	struct words words;

	split(&words, line);
	if (words.argc)
		command = find(words.argv[0]);
	free(words.copy);
	return command;
}

bool command_moves(const char *line)
{
	const struct command *command = find_in(line);

	return command && command->run != ask_qemu &&
	       command->run != quit_program && command->run != print_length;
}

bool command_dies(const char *line)
{
	const struct command *command = find_in(line);

	return command && command->run == die;
}
