/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The commands of `ublk-qcow2 libvirt`, one file each.
 */
#ifndef COMMANDS_H
#define COMMANDS_H

#include <limits.h>
#include <stdbool.h>

struct libvirt_options {
	const char *uri;	 /* NULL: the default */
	const char *subjects[3]; /* NULL where not given */
	bool dry_run;
	bool back;
	bool config;
	bool read_only;
	bool quiesce;
	const char *suffix;    /* NULL: the time */
	const char *bandwidth; /* NULL: no limit */
	char to[PATH_MAX];     /* of a commit; "": the next image below */
	bool all;
	bool json;
};

/* One file per command.  They return the exit status. */
int command_attach(const struct libvirt_options *options);
int command_backup(const struct libvirt_options *options);
int command_commit(const struct libvirt_options *options);
int command_convert(const struct libvirt_options *options);
int command_detach(const struct libvirt_options *options);
int command_event(const struct libvirt_options *options);
int command_list(const struct libvirt_options *options);
int command_resize(const struct libvirt_options *options);
int command_snapshot(const struct libvirt_options *options);

#endif /* COMMANDS_H */
