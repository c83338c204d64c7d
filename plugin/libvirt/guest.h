/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A running domain, seen from its disks.
 */
#ifndef GUEST_H
#define GUEST_H

#include <libvirt/libvirt.h>

#include "plugin/libvirt/decide.h"
#include "plugin/common/owner.h"

struct guest_disk {
	char *target; /* vda */
	char *alias;  /* virtio-disk0; NULL: none */
	char *source; /* NULL: no path, but say a network's disk */
	bool ours;
	bool unplugged;		      /* libvirt has said so of its alias */
	char name[DISK_NAME_MAX + 1]; /* of a disk of ours; "" */
};

struct guest {
	char *name;
	char uuid[OWNER_UUID_SIZE];
	struct guest_disk *disks; /* those that have a medium */
	size_t nr_disks;
};

/* Reads the XML of a domain that runs; guest_free() frees the guest, also after
   an error.  Returns:
   0		*guest is filled in
   -EINVAL	the text is no such XML
   -ENOMEM */
int guest_parse(const char *xml, struct guest *guest);

/* Reads a domain that runs from libvirt.  Returns:
   0		*guest is filled in
   -EIO		libvirt failed, see connection_error()
   -EINVAL	libvirt's XML is no domain's
   -ENOMEM */
int guest_read(virDomainPtr domain, struct guest *guest);

void guest_free(struct guest *guest);

/* Has an I/O error paused the domain, and nothing else?  -EIO: libvirt
   failed. */
int guest_is_stopped(virDomainPtr domain, bool *stopped);

/* Looks at the state of each disk; states has room for all of them.  Returns:
   0		states is filled in
   -EIO		libvirt failed, see connection_error()
   -ENOMEM */
int guest_look(virDomainPtr domain, const struct guest *guest,
	       struct decide_disk *states);

#endif /* GUEST_H */
