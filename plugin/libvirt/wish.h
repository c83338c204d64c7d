/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One disk that a domain wants, at `prepare`.
 */
#ifndef WISH_H
#define WISH_H

#include "plugin/libvirt/hook.h"
#include "plugin/libvirt/image.h"

/* A disk of the domain, and our work for it. */
struct wish {
	const struct call *call;
	const struct domain_disk *disk;
	const struct domain_entry *entry; /* NULL: none */
	bool incoming;			  /* by live migration */
	char name[DISK_NAME_MAX + 1]; /* the disk's, known when it is locked */
	struct image image; /* the entry's, or that of the disk served */
	bool recorded;	    /* we wrote the record, which was not there */
	bool unexplained;   /* no entry and no file says which image that is */
};

/* Has the disk served, and recorded that this domain uses it; 0, or -errno
   and why. */
int wish_fulfil(struct wish *wish, char why[DOMAIN_REASON_MAX]);

#endif /* WISH_H */
