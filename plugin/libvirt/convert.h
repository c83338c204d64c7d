/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One domain that is to be converted.
 */
#ifndef CONVERT_H
#define CONVERT_H

#include "plugin/libvirt/commands.h"
#include "plugin/libvirt/connection.h"
#include "plugin/libvirt/host.h"
#include "plugin/libvirt/rewrite.h"

#define WORD_SIZE 1024

struct conversion {
	const struct libvirt_options *options;
	virConnectPtr connection;
	virDomainPtr domain;
	const char *name;
	char word[WORD_SIZE]; /* the same, for a shell */
	struct rewrite rewrite;
	struct host host;
	char *xml; /* the definition, as it was read */
	char *old; /* both as we would write them */
	char *new;
};

/* convert-judge.c: these return 0, or EXIT_FAILURE after a complaint. */

/* Can the domain be redefined as it is now? */
int convert_judge_state(const struct conversion *conversion);

/* Does no snapshot or checkpoint of libvirt's know the disk as it is? */
int convert_judge_snapshots(const struct conversion *conversion,
			    const struct rewrite_disk *disk);

#endif /* CONVERT_H */
