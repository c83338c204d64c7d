/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The command line.
 */
#ifndef OPTIONS_H
#define OPTIONS_H

#include <stdbool.h>
#include <stddef.h>

#include "plugin/common/disk-options.h"

struct options {
	const char *subject;	     /* IMAGE, DEV or NAME; NULL: all disks */
	const char *const *subjects; /* where several may be named */
	size_t nr_subjects;
	const char *name; /* NULL: after the image */
	long id;	  /* -1: the lowest that is free */
	struct disk_options disk;
	const char *repair; /* leaks, all; NULL: only look */
	bool foreground;
	bool force;
	bool brief;
	bool all;
	bool domain_told;  /* of the other image */
	bool cancel;	   /* a merge */
	char to[PATH_MAX]; /* of a merge; "": the next image below */
	bool json;
	bool watch;
	bool openmetrics;
	char output[PATH_MAX]; /* "": stdout */
};

/* One file per command.  They return the exit status. */
int command_add(const struct options *options);
int command_del(const struct options *options);
int command_recover(const struct options *options);
int command_serve(const struct options *options);
int command_list(const struct options *options);
int command_stat(const struct options *options);
int command_info(const struct options *options);
int command_check(const struct options *options);
int command_upgrade(const struct options *options);
int command_resize(const struct options *options);
int command_snapshot(const struct options *options);
int command_commit(const struct options *options);
int command_backup(const struct options *options);

/* Runs the command of the command line; returns the exit status. */
int options_run(int argc, char **argv);

#endif /* OPTIONS_H */
