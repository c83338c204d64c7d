// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Stands for qemu-io in QEMU's iotests (foreign/iotests.sh): a qcow2 image is
 * read and written by our engine, and the output is that of QEMU's program,
 * which the tests compare.
 *
 * Other formats and protocols, compressed writes and the options of QEMU's
 * block layer have no part for the engine: such calls go to QEMU's program.
 * Each call is noted, with the reason if QEMU's program had it.
 *
 * STAND_IN_QEMU_IO	QEMU's program
 * STAND_IN_JOURNALS	a directory on a tmpfs, for journals
 * STAND_IN_NOTES	the file for the notes
 */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include "tests/foreign/stand-in.h"

#define LINES_MAX 4096

static struct {
	char *lines[LINES_MAX]; /* commands */
	unsigned int nr_lines;
	bool from_stdin;
	char *input; /* all of it */
	size_t input_size;
	struct asked asked;
	bool qcow2;
	bool dies;	      /* on purpose */
	const char *not_ours; /* why */
} call;

static void note(const char *text)
{
	const char *path = getenv("STAND_IN_NOTES");
	FILE *file = path ? fopen(path, "a") : NULL;

	if (!file)
		return;
	fprintf(file, "%s\n", text);
	fclose(file);
}

static void leave(const char *why)
{
	if (!call.not_ours)
		call.not_ours = why;
}

static void add_line(char *line)
{
	if (call.nr_lines == LINES_MAX) {
		leave("too many commands");
		return;
	}
	call.lines[call.nr_lines++] = line;
}

/* ---- the arguments ---- */

static const struct option options[] = {
	{ "help", no_argument, NULL, 'h' },
	{ "version", no_argument, NULL, 'V' },
	{ "cmd", required_argument, NULL, 'c' },
	{ "format", required_argument, NULL, 'f' },
	{ "read-only", no_argument, NULL, 'r' },
	{ "snapshot", no_argument, NULL, 's' },
	{ "nocache", no_argument, NULL, 'n' },
	{ "copy-on-read", no_argument, NULL, 'C' },
	{ "misalign", no_argument, NULL, 'm' },
	{ "native-aio", no_argument, NULL, 'k' },
	{ "aio", required_argument, NULL, 'i' },
	{ "discard", required_argument, NULL, 'd' },
	{ "cache", required_argument, NULL, 't' },
	{ "trace", required_argument, NULL, 'T' },
	{ "object", required_argument, NULL, 'O' },
	{ "image-opts", no_argument, NULL, 'I' },
	{ "force-share", no_argument, 0, 'U' },
	{ NULL, 0, NULL, 0 },
};

static void take_option(int option, bool *node)
{
	switch (option) {
	case 'c':
		add_line(optarg);
		break;
	case 'f':
		call.qcow2 = !strcmp(optarg, "qcow2");
		break;
	case 'r':
		call.asked.read_only = true;
		break;
	case 'n':
		call.asked.direct = true;
		break;
	case 't':
		call.asked.direct = !strcmp(optarg, "none");
		break;
	case 'I':
		*node = true;
		break;
	case 'd':
	case 'i':
	case 'k':
	case 'm':
		break;
	default:
		leave("an option that only QEMU's program has");
	}
}

static void take_arguments(int argc, char **argv)
{
	char *open_words[] = { "open", "-o", NULL, NULL };
	bool node = false;
	int option;

	opterr = 0;
	while ((option = getopt_long(argc, argv, "hVc:d:f:rsnCmki:t:T:U",
				     options, NULL)) != -1)
		take_option(option, &node);
	if (optind == argc)
		return;
	open_words[node ? 2 : 1] = strdup(argv[optind]);
	if (call.not_ours)
		return;
	if (!node && !call.qcow2)
		leave("another format");
	leave(command_parse_open(node ? 3 : 2, open_words, &call.asked));
}

/* Commands that are not in arguments. */
static void read_input(void)
{
	FILE *copy = open_memstream(&call.input, &call.input_size);
	char *text, *line;
	int byte;

	call.from_stdin = true;
	while ((byte = getchar()) != EOF)
		fputc(byte, copy);
	fclose(copy);
	for (text = strdup(call.input); (line = strsep(&text, "\n"));)
		add_line(line);
	/* The last newline begins no line. */
	if (call.nr_lines && !*call.lines[call.nr_lines - 1])
		call.nr_lines--;
}

static void judge_commands(void)
{
	bool moves = false;

	for (unsigned int i = 0; i < call.nr_lines; i++) {
		leave(command_not_ours(call.lines[i]));
		moves |= command_moves(call.lines[i]);
		call.dies |= command_dies(call.lines[i]);
	}
	if (!moves)
		leave("nothing is read or written");
}

/* ---- the work ---- */

/* QEMU's program gets the input that was read. */
static void give_input(void)
{
	int fd = memfd_create("input", 0);

	if (fd < 0 || write(fd, call.input, call.input_size) < 0 ||
	    lseek(fd, 0, SEEK_SET) < 0 || dup2(fd, STDIN_FILENO) < 0)
		abort();
	close(fd);
}

static int leave_to_qemu(char **argv)
{
	const char *program = getenv("STAND_IN_QEMU_IO");
	char text[128];

	snprintf(text, sizeof(text), "left: %s", call.not_ours);
	note(text);
	if (call.from_stdin)
		give_input();
	execv(program ? program : "/usr/bin/qemu-io", argv);
	perror(program);
	return 127;
}

static int do_lines(void)
{
	int last_error = 0;

	for (unsigned int i = 0; i < call.nr_lines && !command_quit(); i++) {
		int ret;

		if (call.from_stdin)
			printf("qemu-io> ");
		ret = command_line(call.lines[i]);
		last_error = ret ? ret : last_error;
	}
	if (call.from_stdin && !command_quit())
		printf("qemu-io> ");
	return last_error;
}

static int serve(void)
{
	int ret;

	if (call.asked.path && served_open(&call.asked))
		return 1;
	ret = do_lines();
	transfer_end();
	if (served_is_open() && served_close()) {
		fprintf(stderr, "qemu-io: the image cannot be closed\n");
		return 1;
	}
	return ret ? 1 : 0;
}

/* After a server's death the next server replays its journal, before another
   program touches the image. */
static void follow(int signal)
{
	struct asked asked = { .path = call.asked.path };

	if (!asked.path || served_open(&asked) || served_close())
		fprintf(stderr, "qemu-io: the image cannot be recovered\n");
	raise(signal);
}

static int supervise(void)
{
	int status;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (!pid)
		return serve();
	if (waitpid(pid, &status, 0) != pid)
		abort();
	if (WIFSIGNALED(status))
		follow(WTERMSIG(status));
	return WEXITSTATUS(status);
}

int main(int argc, char **argv)
{
	take_arguments(argc, argv);
	if (!call.nr_lines)
		read_input();
	judge_commands();
	if (call.not_ours)
		return leave_to_qemu(argv);
	note("served");
	return call.dies ? supervise() : serve();
}
