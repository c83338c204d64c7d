/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A libvirt domain's XML, as far as it concerns us: the domain, its disks,
 * and our entries for them in its <metadata>.
 */
#ifndef DOMAIN_H
#define DOMAIN_H

#include <stdbool.h>
#include <stddef.h>
#include "plugin/common/disk-options.h"

/* The namespace of our element in <metadata>.  We write this one, and read any
   whose name ends with DOMAIN_NAMESPACE_END. */
#define DOMAIN_NAMESPACE     "https://ublk-qcow2/1.0"
#define DOMAIN_NAMESPACE_END "/ublk-qcow2/1.0"
#define DOMAIN_PREFIX	     "ublk"

/* Notes that `convert` makes for the way back: an element in an entry, and an
   attribute of the list, which says that <metadata> was there, and empty. */
#define DOMAIN_BEFORE	 "before"
#define DOMAIN_WAS_EMPTY "metadata"

#define DOMAIN_LINKS   "/dev/ublk-qcow2/"
#define DOMAIN_DEVICES "/dev/ublkb"

#define DOMAIN_REASON_MAX 1024
#define DOMAIN_DISKS_MAX  1024 /* of ours; entries */

/* <ublk:disk .../>: an image, and the device that serves it. */
struct domain_entry {
	char *dev;  /* a link's path or /dev/ublkbN */
	char *file; /* the image; absolute */
	long id;    /* -1: any */
	struct disk_options options;
};

/* <disk>, or a <backingStore>, <mirror> or <dataStore> in one, if its source is
   a file or a device. */
struct domain_disk {
	char *source; /* the path */
	char *target; /* vda */
	char *format; /* driver/@type; NULL: not said */
	char *cache;  /* driver/@cache; NULL: not said */
	bool block;   /* type='block' */
	bool inner;   /* not the <disk> itself */
	bool lower;   /* in a <backingStore>: it is only read */
	bool shareable;
};

struct domain {
	char *name;
	char *uuid;
	struct domain_disk *disks;
	size_t nr_disks;
	size_t nr_ours; /* of them */
	struct domain_entry *entries;
	size_t nr_entries;
};

/* Writes the reason; returns -EINVAL. */
int domain_wrong(char why[DOMAIN_REASON_MAX], const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* The name of the link, or NULL if the path is not one of our links. */
const char *domain_link_name(const char *path);

/* Gets the number N of /dev/ublkbN; false: the path is another. */
bool domain_device_number(const char *path, long *number);

/* Is this the path of a disk of ours, a link or a device? */
bool domain_is_ours(const char *path);

/* Reads the XML of a domain; domain_free() frees it, also after an error.
   Returns:
   -EINVAL	the text is no domain's XML, or an entry of ours is wrong; why
		has the reason
   -ENOMEM */
int domain_parse(const char *xml, size_t length, struct domain *domain,
		 char why[DOMAIN_REASON_MAX]);

void domain_free(struct domain *domain);

/* domain-check.c */

/* The entry of a disk, or NULL. */
const struct domain_entry *domain_entry_of(const struct domain *domain,
					   const struct domain_disk *disk);

/* The disk of an entry, or NULL. */
const struct domain_disk *domain_disk_of(const struct domain *domain,
					 const struct domain_entry *entry);

/* Do disks and entries fit together?  -EINVAL: they do not; why names the disk
   or entry, and the remedy. */
int domain_check(const struct domain *domain, char why[DOMAIN_REASON_MAX]);

#endif /* DOMAIN_H */
