// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * ublk-qcow2-libvirt: what `ublk-qcow2 libvirt` runs.
 *
 * A program of its own, since libvirt's library brings dozens of others with
 * it, which the processes of a disk are not to have in their memory.
 */
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plugin/libvirt/commands.h"

static const struct command {
	const char *name;
	int (*run)(const struct libvirt_options *options);
	const char *letters; /* the options it knows */
	int least, most;     /* arguments */
	const char *help;
} commands[] = {
	{ "convert", command_convert, "cnb", 1, 2,
	  "convert DOMAIN [DISK] [--back] [--dry-run] [--connect URI]\n\n"
	  "Redefines a domain that is shut off so that its qcow2 disks, or\n"
	  "the one with the target or path DISK, are served by ublk-qcow2\n"
	  "from its next start on.  Prints the difference.\n\n"
	  "  --back         the reverse: QEMU opens the image itself again\n"
	  "  --dry-run      only print\n"
	  "  --connect URI  libvirt's (default qemu:///system)\n" },
	{ "attach", command_attach, "cCR", 3, 3,
	  "attach DOMAIN IMAGE TARGET [--config] [--read-only]\n"
	  "    [--connect URI]\n\n"
	  "Serves the image and plugs it into the running domain, as the\n"
	  "disk TARGET, say vdb.  The disk goes when the domain ends.\n\n"
	  "  --config       define it for the domain's next start, too\n"
	  "  --read-only    the guest cannot write to it\n"
	  "  --connect URI  libvirt's (default qemu:///system)\n" },
	{ "detach", command_detach, "cC", 2, 2,
	  "detach DOMAIN DISK [--config] [--connect URI]\n\n"
	  "Unplugs a disk, by its target or path, and removes it when the\n"
	  "guest has let go of it.\n\n"
	  "  --config       from the domain's definition, too\n"
	  "  --connect URI  libvirt's (default qemu:///system)\n" },
	{ "event", command_event, "c", 2, 2,
	  "event crashed|recovered|gave-up DEV [--connect URI]\n\n"
	  "Logs which domains are affected.  At 'recovered', resumes those\n"
	  "that an I/O error of the disk has paused.  The hook in hooks.d\n"
	  "runs it.\n\n"
	  "  --connect URI  libvirt's (default qemu:///system)\n" },
};

#define NR_COMMANDS (sizeof(commands) / sizeof(commands[0]))

static const struct option long_options[] = {
	{ "connect", required_argument, NULL, 'c' },
	{ "dry-run", no_argument, NULL, 'n' },
	{ "back", no_argument, NULL, 'b' },
	{ "config", no_argument, NULL, 'C' },
	{ "read-only", no_argument, NULL, 'R' },
	{ "help", no_argument, NULL, 'h' },
	{ NULL, 0, NULL, 0 },
};

static int __attribute__((format(printf, 2, 3)))
misuse(const struct command *command, const char *format, ...)
{
	va_list args;

	fputs("ublk-qcow2: libvirt: ", stderr);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fprintf(stderr, "; see 'ublk-qcow2 libvirt%s%s --help'\n",
		command ? " " : "", command ? command->name : "");
	return EXIT_USAGE;
}

static void print_help(void)
{
	size_t i;

	puts("Works on libvirt's domains.\n");
	for (i = 0; i < NR_COMMANDS; i++)
		printf("  ublk-qcow2 libvirt %.*s\n",
		       (int)(strstr(commands[i].help, "\n\n") -
			     commands[i].help),
		       commands[i].help);
	puts("\n'ublk-qcow2 libvirt COMMAND --help' tells more.");
}

static void take_option(struct libvirt_options *options, int letter)
{
	switch (letter) {
	case 'c':
		options->uri = optarg;
		break;
	case 'n':
		options->dry_run = true;
		break;
	case 'C':
		options->config = true;
		break;
	case 'R':
		options->read_only = true;
		break;
	default:
		options->back = true;
		break;
	}
}

static int take_arguments(const struct command *command,
			  struct libvirt_options *options, int argc,
			  char **argv)
{
	int i, nr = argc - optind;

	if (nr < command->least)
		return misuse(command, "an argument is missing");
	if (nr > command->most)
		return misuse(command, "'%s' is one argument too many",
			      argv[optind + command->most]);
	for (i = 0; i < nr; i++)
		options->subjects[i] = argv[optind + i];
	return 0;
}

static int run_command(const struct command *command, int argc, char **argv)
{
	struct libvirt_options options = { 0 };
	int letter, ret;

	opterr = 0;
	while ((letter = getopt_long(argc, argv, ":c:h", long_options, NULL)) !=
	       -1) {
		if (letter == 'h') {
			printf("ublk-qcow2 libvirt %s", command->help);
			return EXIT_SUCCESS;
		}
		if (letter == ':')
			return misuse(command, "%s needs a value",
				      argv[optind - 1]);
		if (letter == '?' || !strchr(command->letters, letter))
			return misuse(command, "%s is no option of '%s'",
				      argv[optind - 1], command->name);
		take_option(&options, letter);
	}
	ret = take_arguments(command, &options, argc, argv);
	return ret ? ret : command->run(&options);
}

int main(int argc, char **argv)
{
	size_t i;

	if (argc < 2)
		return misuse(NULL, "a command is missing");
	if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h")) {
		print_help();
		return EXIT_SUCCESS;
	}
	for (i = 0; i < NR_COMMANDS; i++)
		if (!strcmp(argv[1], commands[i].name))
			return run_command(&commands[i], argc - 1, argv + 1);
	return misuse(NULL, "'%s' is no command", argv[1]);
}
