// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * ublk-qcow2-libvirt: the program that `ublk-qcow2 libvirt` runs.
 *
 * libvirt's library brings dozens of others with it.  The processes of a disk
 * must not have these in their memory, so this is a program of its own.
 */
#include <stddef.h>

#include "plugin/common/command-line.h"
#include "plugin/libvirt/commands.h"

#define FIELD(name) offsetof(struct libvirt_options, name)

#define OPTION_CONNECT \
	{ \
		.name = "connect", .kind = OPTION_TEXT, .value = "URI", \
		.offset = FIELD(uri), \
		.help = "libvirt's (default qemu:///system)" \
	}

static const struct command_option convert_options[] = {
	{ .name = "back",
	  .offset = FIELD(back),
	  .help = "the reverse: QEMU opens the image itself again" },
	{ .name = "dry-run", .offset = FIELD(dry_run), .help = "only print" },
	{ .name = "all",
	  .role = OPTION_INSTEAD,
	  .offset = FIELD(all),
	  .help = "every domain that is shut off and has such disks; one that "
		  "cannot be converted does not keep the others" },
	OPTION_CONNECT,
};

static const struct command_option attach_options[] = {
	{ .name = "config",
	  .offset = FIELD(config),
	  .help = "define it for the domain's next start, too" },
	{ .name = "read-only",
	  .offset = FIELD(read_only),
	  .help = "the guest cannot write to it" },
	OPTION_CONNECT,
};

static const struct command_option detach_options[] = {
	{ .name = "config",
	  .offset = FIELD(config),
	  .help = "from the domain's definition, too" },
	OPTION_CONNECT,
};

static const struct command_option list_options[] = {
	{ .name = "json",
	  .offset = FIELD(json),
	  .help = "for programs: the manual page has the keys" },
	OPTION_CONNECT,
};

static const struct command_option resize_options[] = { OPTION_CONNECT };

static const struct command_option snapshot_options[] = {
	{ .name = "quiesce",
	  .offset = FIELD(quiesce),
	  .help = "the guest's agent freezes the file systems meanwhile" },
	{ .name = "suffix",
	  .kind = OPTION_TEXT,
	  .value = "TEXT",
	  .offset = FIELD(suffix),
	  .help = "web.qcow2 gets the overlay web.TEXT.qcow2 (default: the "
		  "time)" },
	OPTION_CONNECT,
};

#define OPTION_RATE \
	{ \
		.name = "bandwidth", .kind = OPTION_TEXT, .value = "BYTES", \
		.offset = FIELD(bandwidth), \
		.help = "copy no more bytes in a second, K, M or G may " \
			"follow" \
	}

static const struct command_option backup_options[] = {
	{ .name = "quiesce",
	  .offset = FIELD(quiesce),
	  .help = "the guest's agent freezes the file systems at the moment of "
		  "the copy" },
	OPTION_RATE,
	OPTION_CONNECT,
};

static const struct command_option commit_options[] = {
	{ .name = "to",
	  .kind = OPTION_PATH,
	  .value = "IMAGE",
	  .offset = FIELD(to),
	  .help = "merge into this one of the images below, and with the "
		  "overlay all that lie between (default: the next one)" },
	OPTION_RATE,
	OPTION_CONNECT,
};

static const struct command_option event_options[] = { OPTION_CONNECT };

#define OPTIONS(table) \
	.options = table, .nr_options = sizeof(table) / sizeof((table)[0])

enum { CONVERT, ATTACH, DETACH, LIST, RESIZE, SNAPSHOT, COMMIT, BACKUP, EVENT };

static const struct command commands[] = {
	[CONVERT] = { "convert", "DOMAIN [DISK]", OPTIONS(convert_options),
		      .help = "Redefines a domain that is shut off so that "
			      "its qcow2 disks, or the one with the target or "
			      "path DISK, are served by ublk-qcow2 from its "
			      "next start on.  Prints the difference." },
	[ATTACH] = { "attach", "DOMAIN IMAGE TARGET", OPTIONS(attach_options),
		     .help = "Serves the image and plugs it into the running "
			     "domain, as the disk TARGET, say vdb.  The disk "
			     "goes when the domain ends." },
	[DETACH] = { "detach", "DOMAIN DISK", OPTIONS(detach_options),
		     .help = "Unplugs a disk, by its target or path, and "
			     "removes it when the guest has let go of it." },
	[LIST] = { "list", "", OPTIONS(list_options),
		   .help = "Tells which domains have disks of ublk-qcow2, and "
			   "as which devices they are served." },
	[RESIZE] = { "resize", "DOMAIN DISK SIZE", OPTIONS(resize_options),
		     .help = "Lets a disk of a running domain grow, by its "
			     "target or path: image, device and guest." },
	[SNAPSHOT] = { "snapshot", "DOMAIN", OPTIONS(snapshot_options),
		       .help = "Keeps the images of a running domain's disks "
			       "as they are now, all at one moment: each gets "
			       "an overlay beside it." },
	[COMMIT] = { "commit", "DOMAIN DISK", OPTIONS(commit_options),
		     .help = "Merges the image of a running domain's disk, an "
			     "overlay, into the image below it, which takes "
			     "its place." },
	[BACKUP] = { "backup", "DOMAIN DISK FILE", OPTIONS(backup_options),
		     .help = "Copies a disk of a running domain, as it is now, "
			     "to a new qcow2 image, FILE.  If this is "
			     "interrupted, run it again, or 'commit'." },
	[EVENT] = { "event", "EVENT DEV", OPTIONS(event_options),
		    .help = "EVENT is one of those that hooks.d is run for.  "
			    "Logs which domains are affected.  At 'recovered', "
			    "resumes those that an I/O error of "
			    "the disk has paused.  The hook in hooks.d runs "
			    "it." },
};

static int (*const runs[])(const struct libvirt_options *options) = {
	[CONVERT] = command_convert, [ATTACH] = command_attach,
	[DETACH] = command_detach,   [LIST] = command_list,
	[RESIZE] = command_resize,   [SNAPSHOT] = command_snapshot,
	[COMMIT] = command_commit,   [BACKUP] = command_backup,
	[EVENT] = command_event,
};

static const struct program program = {
	.name = "ublk-qcow2 libvirt",
	.complainer = "ublk-qcow2: libvirt",
	.purpose = "Works on libvirt's domains.",
	.closing = "'ublk-qcow2 help libvirt COMMAND' tells more.",
	.commands = commands,
	.nr_commands = sizeof(commands) / sizeof(commands[0]),
};

int main(int argc, char **argv)
{
	struct libvirt_options options = { 0 };
	struct command_line line;
	size_t i;
	int status;

	if (!command_line_read(&program, argc, argv, &options, &line, &status))
		return status;
	for (i = 0; i < line.nr_arguments; i++)
		options.subjects[i] = line.arguments[i];
	return runs[line.command](&options);
}
