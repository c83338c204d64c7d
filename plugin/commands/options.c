// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The tables of this program's command line, and which function does which
 * command.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plugin/commands/options.h"
#include "plugin/common/command-line.h"
#include "plugin/common/log.h"
#include "plugin/common/program.h"

#define FIELD(name) offsetof(struct options, name)

#define OPTION_DATA_FILE \
	{ \
		.name = "data-file", .kind = OPTION_PATH, .value = "FILE", \
		.offset = FIELD(disk.data_file), \
		.help = "may be the image's external data file, which is " \
			"written" \
	}
#define OPTION_NO_REFERENCES \
	{ \
		.name = "no-references", .offset = FIELD(disk.no_references), \
		.help = "refuse an image that names any other file: for " \
			"images from untrusted hands" \
	}
#define OPTION_BRIEF \
	{ \
		.name = "brief", .offset = FIELD(brief), \
		.help = "for programs: a message on stderr is the cause " \
			"alone, without the names of program and disk" \
	}
#define OPTION_JSON \
	{ \
		.name = "json", .offset = FIELD(json), \
		.help = "for programs: the manual page has the keys" \
	}

static const struct command_option add_options[] = {
	{ .name = "id",
	  .letter = 'n',
	  .kind = OPTION_NUMBER,
	  .value = "ID",
	  .offset = FIELD(id),
	  .help = "the device's number; default: the lowest that is free" },
	{ .name = "name",
	  .kind = OPTION_TEXT,
	  .value = "NAME",
	  .offset = FIELD(name),
	  .help = "default: the image's file name without .qcow2" },
	{ .name = "queues",
	  .letter = 'q',
	  .kind = OPTION_COUNT,
	  .value = "QUEUES",
	  .offset = FIELD(disk.queues),
	  .help = "hardware queues (default 1)" },
	{ .name = "depth",
	  .letter = 'd',
	  .kind = OPTION_COUNT,
	  .value = "DEPTH",
	  .offset = FIELD(disk.depth),
	  .help = "requests in flight on each queue (default 128)" },
	{ .name = "read-only",
	  .offset = FIELD(disk.read_only),
	  .help = "nobody can write to the disk" },
	{ .name = "cache",
	  .kind = OPTION_SECOND,
	  .choices = "none|writeback",
	  .offset = FIELD(disk.writeback),
	  .help = "none: bypass the host's page cache (default); "
		  "writeback: use it" },
	{ .name = "key-file",
	  .kind = OPTION_PATH,
	  .value = "FILE",
	  .offset = FIELD(disk.key_file),
	  .help = "holds the key of an image encrypted with AES; the disk "
		  "needs it again whenever its server dies" },
	OPTION_DATA_FILE,
	OPTION_NO_REFERENCES,
	{ .name = "confined",
	  .offset = FIELD(disk.confined),
	  .help = "refuse where the kernel cannot confine the server wholly" },
	{ .name = "sound-kernel",
	  .offset = FIELD(disk.sound_kernel),
	  .help = "refuse on a kernel whose ublk driver has a known defect "
		  "that is fatal" },
	{ .name = "watchdog",
	  .kind = OPTION_OTHER,
	  .value = "SECONDS",
	  .offset = FIELD(disk),
	  .help = "replace a server that makes no progress for so long "
		  "(default 30), though nothing it waits for is in the "
		  "kernel; no: never" },
	{ .name = "iops",
	  .kind = OPTION_OTHER,
	  .value = "NUMBER",
	  .offset = FIELD(disk),
	  .help = "do no more requests in a second; no: no limit (default)" },
	{ .name = "bandwidth",
	  .kind = OPTION_OTHER,
	  .value = "BYTES",
	  .offset = FIELD(disk),
	  .help = "read and write no more bytes in a second, K, M or G may "
		  "follow; no: no limit (default)" },
	{ .name = "cache-size",
	  .kind = OPTION_OTHER,
	  .value = "BYTES",
	  .offset = FIELD(disk),
	  .help = "memory for the image's tables; auto: for those of "
		  "the whole disk, 4M to 128M (default)" },
	{ .name = "workers",
	  .kind = OPTION_OTHER,
	  .value = "NUMBER",
	  .offset = FIELD(disk),
	  .help = "threads for calls that may block (default 4)" },
	{ .name = "foreground",
	  .offset = FIELD(foreground),
	  .help = "stay and supervise, speak on stderr" },
	{ .name = "force",
	  .offset = FIELD(force),
	  .help = "open the image even if acknowledged writes are lost "
		  "because its journal is" },
	OPTION_BRIEF,
	{ .name = "all",
	  .role = OPTION_ALONE,
	  .offset = FIELD(all),
	  .help = "every disk that /etc/ublk-qcow2/disks.d configures and "
		  "that is not there" },
};

static const struct command_option del_options[] = {
	{ .name = "force",
	  .offset = FIELD(force),
	  .help = "even then: its users get errors" },
	OPTION_BRIEF,
	{ .name = "all",
	  .role = OPTION_ALONE,
	  .offset = FIELD(all),
	  .help = "every disk that nobody uses" },
};

static const struct command_option recover_options[] = {
	{ .name = "force",
	  .offset = FIELD(force),
	  .help = "even if acknowledged writes are lost because the image's "
		  "journal is, or fits the image no longer" },
	OPTION_BRIEF,
	{ .name = "all",
	  .role = OPTION_ALONE,
	  .offset = FIELD(all),
	  .help = "every disk; none waits for another" },
};

static const struct command_option list_options[] = { OPTION_JSON };

static const struct command_option stat_options[] = {
	OPTION_JSON,
	{ .name = "watch",
	  .offset = FIELD(watch),
	  .help = "again every second, with the figures of that second" },
	{ .name = "openmetrics",
	  .excludes = "json",
	  .offset = FIELD(openmetrics),
	  .help = "for Prometheus, in the text format of its node exporter" },
	{ .name = "output",
	  .kind = OPTION_PATH,
	  .value = "FILE",
	  .offset = FIELD(output),
	  .help = "write a file, which a reader finds whole" },
};

static const struct command_option info_options[] = {
	OPTION_DATA_FILE,
	OPTION_NO_REFERENCES,
	OPTION_JSON,
};

static const struct command_option check_options[] = {
	{ .letter = 'r',
	  .kind = OPTION_CHOICE,
	  .choices = "leaks|all",
	  .offset = FIELD(repair),
	  .help = "leaks: give leaked clusters back; all: repair all that can "
		  "be" },
	OPTION_JSON,
};

static const struct command_option upgrade_options[] = {
	{ .name = "all",
	  .role = OPTION_ALONE,
	  .offset = FIELD(all),
	  .help = "every disk, one after the other" },
};

static const struct command_option snapshot_options[] = {
	{ .name = "domain-told",
	  .offset = FIELD(domain_told),
	  .help = "the domain that the disk was served for names the overlay "
		  "already" },
};

#define OPTION_DOMAIN_TOLD \
	{ \
		.name = "domain-told", .offset = FIELD(domain_told), \
		.help = "the metadata of the domain that uses the disk will " \
			"name the image below: 'ublk-qcow2 libvirt' sees to " \
			"that" \
	}
#define OPTION_RATE \
	{ \
		.name = "bandwidth", .kind = OPTION_OTHER, .value = "BYTES", \
		.offset = FIELD(disk), \
		.help = "copy no more bytes in a second, K, M or G may " \
			"follow; no: no limit (default)" \
	}

static const struct command_option backup_options[] = {
	OPTION_RATE,
	OPTION_DOMAIN_TOLD,
};

static const struct command_option commit_options[] = {
	{ .name = "to",
	  .kind = OPTION_PATH,
	  .value = "IMAGE",
	  .offset = FIELD(to),
	  .help = "merge into this one of the images below, and with the "
		  "overlay all that lie between (default: the next one)" },
	{ .name = "cancel",
	  .excludes = "bandwidth",
	  .offset = FIELD(cancel),
	  .help = "end a commit that is at work; the disk keeps its overlay" },
	OPTION_RATE,
	OPTION_DOMAIN_TOLD,
};

#define OPTIONS(table) \
	.options = table, .nr_options = sizeof(table) / sizeof((table)[0])

enum {
	ADD,
	DEL,
	RECOVER,
	SERVE,
	LIST,
	STAT,
	RESIZE,
	SNAPSHOT,
	COMMIT,
	BACKUP,
	UPGRADE,
	INFO,
	CHECK,
	LIBVIRT,
	HELP,
};

static const struct command commands[] = {
	[ADD] = { "add", "IMAGE", OPTIONS(add_options),
		  .help = "Serves the qcow2 image as /dev/ublkb<ID>, prints "
			  "that name and returns; /dev/ublk-qcow2/NAME is a "
			  "stable link to it." },
	[DEL] = { "del", "DEV...", OPTIONS(del_options),
		  .help = "Closes the image of each of these disks and removes "
			  "the device; not while it is in use.  A disk that "
			  "stays does not keep the others." },
	[RECOVER] = { "recover", "DEV", OPTIONS(recover_options),
		      .help = "Brings back the missing processes of a disk: its "
			      "server, its supervisor.  Does nothing to a disk "
			      "in good order." },
	[SERVE] = { "serve", "NAME",
		    .help = "Serves the disk that disks.d/NAME.conf "
			    "configures, in the foreground; takes it over if "
			    "it is there without a supervisor.  SIGTERM "
			    "removes the disk as soon as nobody uses it." },
	[LIST] = { "list", "[DEV]", OPTIONS(list_options),
		   .help = "Tells of all disks, or of one." },
	[STAT] = { "stat", "[DEV]", OPTIONS(stat_options),
		   .help = "Tells how many requests the disks have done and "
			   "how long they took, and of pauses.  The figures "
			   "outlive the disks' servers." },
	[RESIZE] = { "resize", "DEV SIZE",
		     .help = "Lets a disk grow while it is in use, the image "
			     "and the device, to SIZE bytes or, with a + "
			     "before it, by so many; K, M, G and T are units. "
			     "Needs a kernel of 6.16 or later." },
	[SNAPSHOT] = { "snapshot", "DEV OVERLAY", OPTIONS(snapshot_options),
		       .help = "Keeps the image as it is now: makes OVERLAY, a "
			       "new image, which gets all later writes.  The "
			       "image below is only read from then on." },
	[COMMIT] = { "commit", "DEV", OPTIONS(commit_options),
		     .help = "Merges the image into the one below it while the "
			     "disk is in use, and has the disk served from "
			     "that; the image above is no longer needed then." },
	[BACKUP] = { "backup", "DEV FILE", OPTIONS(backup_options),
		     .help = "Copies a disk that is in use, as it is now, to a "
			     "new qcow2 image, FILE.  The disk has an overlay "
			     "meanwhile, which is merged at the end.  If this "
			     "is interrupted, run it again, or 'commit'." },
	[UPGRADE] = { "upgrade", "DEV", OPTIONS(upgrade_options),
		      .help = "Has a disk that is in use served by the program "
			      "that is installed now: its supervisor becomes "
			      "that program, and replaces the server." },
	[INFO] = { "info", "IMAGE", OPTIONS(info_options),
		   .help = "Describes an image and its files, and tells "
			   "whether it would be served by an 'add' with these "
			   "options.  Takes no lock and changes nothing." },
	[CHECK] = { "check", "IMAGE", OPTIONS(check_options),
		    .help = "Finds the faults of an image that nobody "
			    "uses.  Exit status: 0 nothing, 1 the check "
			    "failed, 2 corrupt, 3 leaked clusters only, 63 a "
			    "format that has no check." },
	[LIBVIRT] = { "libvirt", "COMMAND ...", .foreign = true,
		      .help = "Works on libvirt's domains." },
	[HELP] = { "help", "[COMMAND]",
		   .help = "Tells of all commands, or all of one." },
};

static int (*const runs[])(const struct options *options) = {
	[ADD] = command_add,	     [DEL] = command_del,
	[RECOVER] = command_recover, [SERVE] = command_serve,
	[LIST] = command_list,	     [STAT] = command_stat,
	[RESIZE] = command_resize,   [SNAPSHOT] = command_snapshot,
	[COMMIT] = command_commit,   [BACKUP] = command_backup,
	[UPGRADE] = command_upgrade, [INFO] = command_info,
	[CHECK] = command_check,
};

static const struct program program = {
	.name = "ublk-qcow2",
	.complainer = "ublk-qcow2",
	.purpose = "Serves qcow2 images as block devices that outlive their "
		   "server.",
	.closing = "DEV is an id, a name, /dev/ublkbN, the link "
		   "/dev/ublk-qcow2/NAME, or the path of the image.  "
		   "'ublk-qcow2 help COMMAND' tells more; 'ublk-qcow2 "
		   "--version' tells the version.",
	.commands = commands,
	.nr_commands = sizeof(commands) / sizeof(commands[0]),
};

/* libvirt's library is not for the processes of a disk, so the commands that
   need it are a program of their own. */
static int run_libvirt(char **argv)
{
	int ret = program_become("ublk-qcow2-libvirt", argv);

	return complain("libvirt: cannot run ublk-qcow2-libvirt: %s; install "
			"this program with its part for libvirt",
			strerror(-ret));
}

int options_run(int argc, char **argv)
{
	struct options options = {
		.id = -1,
		.disk = DISK_OPTIONS_DEFAULT,
	};
	struct command_line line;
	int status;

	if (!command_line_read(&program, argc, argv, &options, &line, &status))
		return status;
	if (line.command == LIBVIRT)
		return run_libvirt(argv + 1);
	options.subject = line.arguments[0];
	options.subjects = (const char *const *)line.arguments;
	options.nr_subjects = line.nr_arguments;
	if (options.brief)
		complain_briefly();
	return runs[line.command](&options);
}
