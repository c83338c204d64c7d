/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An image that is to be a domain's disk, served by us.
 */
#ifndef CANDIDATE_H
#define CANDIDATE_H

#include "plugin/libvirt/host.h"
#include "plugin/common/state.h"

struct candidate {
	const char *domain; /* its name */
	const char *target; /* vda */
	const char *image;
	bool read_only;
};

/* These return 0, or EXIT_FAILURE after a complaint. */

/* Does no other domain use the image, and is it not served at the moment? */
int candidate_is_free(const struct candidate *candidate,
		      const struct host *host);

/* Can the image be served? */
int candidate_is_fit(const struct candidate *candidate);

/* Gives the disk a name that no disk has, and notes the name in host. */
int candidate_name(const struct candidate *candidate, struct host *host,
		   char name[DISK_NAME_MAX + 1]);

#endif /* CANDIDATE_H */
