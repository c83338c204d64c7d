/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A disk that is to be plugged into a domain, or out of it.
 */
#ifndef PLUG_H
#define PLUG_H

#include <libvirt/libvirt.h>

#include "plugin/libvirt/commands.h"
#include "plugin/libvirt/rewrite.h"
#include "plugin/common/owner.h"

struct candidate;

struct plug {
	const struct libvirt_options *options;
	const struct candidate *candidate; /* for `attach` */
	virConnectPtr connection;
	virDomainPtr domain;
	const char *name; /* the domain's */
	char uuid[OWNER_UUID_SIZE];
	bool live;   /* the domain runs */
	bool config; /* its definition must change */
	char disk_name[DISK_NAME_MAX + 1];
	char *definition; /* the new one; NULL: as it is */
	char *device;	  /* the disk of the domain that runs */
	char *list;	  /* its new list of entries; NULL: none */
	char *source;	  /* of the disk, a path; NULL: not known yet */
};

/* The functions that return an int return 0, or EXIT_FAILURE after a
   complaint. */

/* Finds the domain, and judges whether its disks can be changed. */
int plug_begin(struct plug *plug, const struct libvirt_options *options);

void plug_end(struct plug *plug);

/* Reads the XML of the domain that runs, or its definition. */
int plug_read(const struct plug *plug, bool live, enum rewrite_way way,
	      struct rewrite *rewrite);

/* The metadata are read, changed and written in one go: all that do so hold
   this lock, for no longer than that.  close() unlocks. */
int plug_lock(const struct plug *plug, int *lock);

/* Gives the domain that runs a list of entries; NULL: none. */
int plug_set_list(const struct plug *plug, const char *list);

/* Takes the entry of the disk from the domain that runs. */
int plug_drop_entry(const struct plug *plug);

/* Works out the new definition anew, from the one that is there by now, and
   changes it; if there is a new one. */
int plug_define(struct plug *plug, int (*work_out)(struct plug *plug));

/* Ends the domain's use of the disk. */
int plug_release(const struct plug *plug);

#endif /* PLUG_H */
