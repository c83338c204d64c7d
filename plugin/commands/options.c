// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The command line, by tables: commands[] says for each command which
 * options it knows, what its argument means, what --help prints and who does
 * it.
 *
 * A wrong command line is a matter between the user and this file: one line
 * says what is wrong, the exit status is 2.  Whether a value makes sense (an
 * id out of range, say) is for the command to judge; here a number only has
 * to be one.
 */
#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config.h"
#include "plugin/common/log.h"
#include "plugin/commands/options.h"
#include "plugin/common/program.h"

enum argument {
	ARGUMENT_NEEDED,
	ARGUMENT_OPTIONAL,
	ARGUMENT_OR_ALL,
};

/* A command that has no function is run_program()'s. */
static const struct command {
	const char *name;
	int (*run)(const struct options *options);
	const char *letters; /* the options it knows */
	enum argument argument;
	const char *help;
} commands[] = {
	{ "add", command_add, "nNqdRckDxFfa", ARGUMENT_OR_ALL,
	  "add IMAGE [-n ID] [--name NAME] [-q QUEUES] [-d DEPTH]\n"
	  "    [--read-only] [--cache none|writeback] [--key-file FILE]\n"
	  "    [--data-file FILE] [--no-references] [--foreground] "
	  "[--force]\n"
	  "  ublk-qcow2 add --all\n\n"
	  "Serves the qcow2 image as /dev/ublkb<ID>, prints that name and\n"
	  "returns; /dev/ublk-qcow2/NAME is a stable link to it.\n\n"
	  "  -n ID          the device's number; default: the lowest free\n"
	  "  --name NAME    default: the image's file name without .qcow2\n"
	  "  -q QUEUES      hardware queues (default 1)\n"
	  "  -d DEPTH       requests in flight on each (default 128)\n"
	  "  --read-only    nobody can write to the disk\n"
	  "  --cache MODE   none: bypass the host's page cache (default);\n"
	  "                 writeback: use it\n"
	  "  --key-file FILE  holds the key of an image encrypted with AES; "
	  "the\n"
	  "                 disk needs it again whenever its server dies\n"
	  "  --data-file FILE  may be the image's external data file, which "
	  "is\n"
	  "                 written\n"
	  "  --no-references  refuse an image that names any other file: for\n"
	  "                 images from untrusted hands\n"
	  "  --foreground   stay and supervise, speak on stderr\n"
	  "  --force        open the image even if acknowledged writes are\n"
	  "                 lost because its journal is\n"
	  "  --all          every disk that /etc/ublk-qcow2/disks.d "
	  "configures and\n"
	  "                 that is not there\n" },
	{ "del", command_del, "f", ARGUMENT_NEEDED,
	  "del DEV [--force]\n\n"
	  "Closes the image and removes the device; not while it is in use.\n\n"
	  "  --force        even then: its users get errors\n" },
	{ "recover", command_recover, "af", ARGUMENT_OR_ALL,
	  "recover DEV [--force]\n"
	  "  ublk-qcow2 recover --all\n\n"
	  "Brings back what is missing of a disk: its server, its "
	  "supervisor.\n"
	  "Does nothing to a disk in good order.\n\n"
	  "  --force        even if acknowledged writes are lost because the\n"
	  "                 image's journal is, or fits it no longer\n" },
	{ "serve", command_serve, "", ARGUMENT_NEEDED,
	  "serve NAME\n\n"
	  "Serves the disk that disks.d/NAME.conf configures, in the "
	  "foreground;\n"
	  "takes it over if it is there without a supervisor.  "
	  "SIGTERM removes\n"
	  "the disk as soon as nobody uses it.\n" },
	{ "list", command_list, "j", ARGUMENT_OPTIONAL,
	  "list [DEV] [--json]\n\n"
	  "Tells of all disks, or of one.\n" },
	{ "info", command_info, "jDx", ARGUMENT_NEEDED,
	  "info IMAGE [--data-file FILE] [--no-references] [--json]\n\n"
	  "Tells what an image is, what it consists of, and whether it would\n"
	  "be served by an 'add' with these options.  Takes no lock and\n"
	  "changes nothing.\n" },
	{ "check", command_check, "rj", ARGUMENT_NEEDED,
	  "check IMAGE [-r leaks|all] [--json]\n\n"
	  "Finds what is wrong with an image that nobody uses.  Exit status:\n"
	  "0 nothing, 1 the check failed, 2 corrupt, 3 leaked clusters only,\n"
	  "63 a format that has no check.\n\n"
	  "  -r leaks       give leaked clusters back\n"
	  "  -r all         repair whatever can be\n" },
	{ "libvirt", NULL, "", ARGUMENT_NEEDED, "libvirt COMMAND ...\n\n" },
};

#define NR_COMMANDS (sizeof(commands) / sizeof(commands[0]))

static const struct option long_options[] = {
	{ "name", required_argument, NULL, 'N' },
	{ "read-only", no_argument, NULL, 'R' },
	{ "cache", required_argument, NULL, 'c' },
	{ "key-file", required_argument, NULL, 'k' },
	{ "data-file", required_argument, NULL, 'D' },
	{ "no-references", no_argument, NULL, 'x' },
	{ "foreground", no_argument, NULL, 'F' },
	{ "force", no_argument, NULL, 'f' },
	{ "all", no_argument, NULL, 'a' },
	{ "json", no_argument, NULL, 'j' },
	{ "help", no_argument, NULL, 'h' },
	{ NULL, 0, NULL, 0 },
};

static int __attribute__((format(printf, 2, 3)))
misuse(const struct command *command, const char *format, ...)
{
	va_list args;

	fputs("ublk-qcow2: ", stderr);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fprintf(stderr, "; see 'ublk-qcow2%s%s --help'\n", command ? " " : "",
		command ? command->name : "");
	return EXIT_USAGE;
}

static void print_help(void)
{
	size_t i;

	puts("Serves qcow2 images as block devices that outlive their "
	     "server.\n");
	for (i = 0; i < NR_COMMANDS; i++)
		printf("  ublk-qcow2 %.*s\n",
		       (int)(strstr(commands[i].help, "\n\n") -
			     commands[i].help),
		       commands[i].help);
	puts("\nDEV is an id, a name, /dev/ublkbN or the link "
	     "/dev/ublk-qcow2/NAME.\n"
	     "'ublk-qcow2 COMMAND --help' tells more.");
}

static bool get_number(const char *text, long *number)
{
	char *end;

	errno = 0;
	*number = strtol(text, &end, 10);
	return end != text && !*end && !errno;
}

static bool get_count(const char *text, unsigned int *count)
{
	long number;

	if (!get_number(text, &number) || number < 0 || number > UINT_MAX)
		return false;
	*count = number;
	return true;
}

static bool get_path(const char *text, char path[PATH_MAX])
{
	return *text && snprintf(path, PATH_MAX, "%s", text) < PATH_MAX;
}

static bool get_cache(const char *text, bool *writeback)
{
	*writeback = !strcmp(text, "writeback");
	return *writeback || !strcmp(text, "none");
}

/* Takes one option; false: its value is none. */
static bool take_option(struct options *options, int letter)
{
	switch (letter) {
	case 'n':
		return get_number(optarg, &options->id) && options->id >= 0;
	case 'q':
		return get_count(optarg, &options->disk.queues);
	case 'd':
		return get_count(optarg, &options->disk.depth);
	case 'c':
		return get_cache(optarg, &options->disk.writeback);
	case 'N':
		options->name = optarg;
		return true;
	case 'k':
		return get_path(optarg, options->disk.key_file);
	case 'D':
		return get_path(optarg, options->disk.data_file);
	case 'x':
		options->disk.no_references = true;
		return true;
	case 'r':
		options->repair = optarg;
		return !strcmp(optarg, "leaks") || !strcmp(optarg, "all");
	case 'R':
		options->disk.read_only = true;
		return true;
	case 'F':
		options->foreground = true;
		return true;
	case 'f':
		options->force = true;
		return true;
	case 'a':
		options->all = true;
		return true;
	default:
		options->json = true;
		return true;
	}
}

static const char *option_name(int letter)
{
	switch (letter) {
	case 'n':
		return "-n";
	case 'q':
		return "-q";
	case 'd':
		return "-d";
	case 'r':
		return "-r";
	default:
		return "--cache";
	}
}

static int take_argument(const struct command *command, struct options *options,
			 int argc, char **argv)
{
	if (optind < argc)
		options->subject = argv[optind++];
	if (optind < argc)
		return misuse(command, "'%s' is one argument too many",
			      argv[optind]);
	if (options->all && options->subject)
		return misuse(command, "'%s' and --all exclude each other",
			      options->subject);
	if (!options->subject && !options->all &&
	    command->argument != ARGUMENT_OPTIONAL)
		return misuse(command, "an argument is missing");
	return 0;
}

/* libvirt's library is not for the processes of a disk, so what needs it is a
   program of its own. */
static int run_program(char **argv)
{
	int ret = program_become("ublk-qcow2-libvirt", argv);

	return complain("libvirt: cannot run ublk-qcow2-libvirt, which should "
			"be beside this program: %s",
			strerror(-ret));
}

static int run_command(const struct command *command, int argc, char **argv)
{
	struct options options = {
		.id = -1,
		.disk = DISK_OPTIONS_DEFAULT,
	};
	int letter, ret, others = 0;

	if (!command->run)
		return run_program(argv);
	opterr = 0;
	while ((letter = getopt_long(argc, argv, ":n:q:d:r:h", long_options,
				     NULL)) != -1) {
		if (letter == 'h') {
			printf("ublk-qcow2 %s", command->help);
			return EXIT_SUCCESS;
		}
		if (letter == ':')
			return misuse(command, "%s needs a value",
				      argv[optind - 1]);
		if (letter == '?' || !strchr(command->letters, letter))
			return misuse(command, "%s is no option of '%s'",
				      argv[optind - 1], command->name);
		others += letter != 'a';
		if (!take_option(&options, letter))
			return misuse(command, "'%s' is no value for %s",
				      optarg, option_name(letter));
	}
	if (options.all && others)
		return misuse(command, "--all excludes every other option");
	ret = take_argument(command, &options, argc, argv);
	return ret ? ret : command->run(&options);
}

int options_run(int argc, char **argv)
{
	size_t i;

	if (argc < 2)
		return misuse(NULL, "a command is missing");
	if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h")) {
		print_help();
		return EXIT_SUCCESS;
	}
	if (!strcmp(argv[1], "--version")) {
		puts(PACKAGE_STRING);
		return EXIT_SUCCESS;
	}
	for (i = 0; i < NR_COMMANDS; i++)
		if (!strcmp(argv[1], commands[i].name))
			return run_command(&commands[i], argc - 1, argv + 1);
	return misuse(NULL, "'%s' is no command", argv[1]);
}
