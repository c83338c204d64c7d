/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Rewrites a domain's XML so that its disks, qcow2 files so far, become disks
 * of ours, and back.
 */
#ifndef REWRITE_H
#define REWRITE_H

#include <libxml/tree.h>
#include <stdbool.h>
#include <stddef.h>

#include "plugin/libvirt/domain.h"
#include "plugin/common/state.h"

enum rewrite_way {
	REWRITE_FORTH, /* from a file to a disk of ours */
	REWRITE_BACK,
};

struct rewrite_disk {
	xmlNode *node;
	xmlNode *entry;	     /* ours in <metadata>; NULL: none */
	char *target;	     /* vda */
	char *source;	     /* the path; NULL: none */
	char *file;	     /* the image; NULL: none that we know */
	char *pool, *volume; /* by which libvirt knows it; NULL: it is no
				volume of a pool */
	bool chosen;
	char reason[160];	      /* why the disk is not */
	char name[DISK_NAME_MAX + 1]; /* of the new disk */
};

struct rewrite {
	enum rewrite_way way;
	xmlDoc *document;
	char *domain; /* its name */
	struct rewrite_disk *disks;
	size_t nr_disks;
};

/* Sets the file of a disk that is a volume; -ENOMEM.  Without a file such a
   disk does not fit. */
int rewrite_set_file(struct rewrite_disk *disk, const char *path);

/* Reads the XML; rewrite_free() frees the rewrite, also after an error.
   Returns:
   0		*rewrite is filled in
   -EINVAL	the XML is not that of a domain; why has the reason
   -ENOMEM */
int rewrite_read(const char *xml, enum rewrite_way way, struct rewrite *rewrite,
		 char why[DOMAIN_REASON_MAX]);

void rewrite_free(struct rewrite *rewrite);

/* The XML as it is now, indented; the caller free()s it.  NULL: no memory. */
char *rewrite_text(const struct rewrite *rewrite);

/* Chooses the disk that has this target or path, or with NULL all that fit.
   -EINVAL: there is none, or it does not fit; why has the reason. */
int rewrite_choose(struct rewrite *rewrite, const char *disk,
		   char why[DOMAIN_REASON_MAX]);

/* rewrite-disk.c: the disks on their way forth or back. */

/* Our list of entries in <metadata>, or NULL. */
xmlNode *rewrite_list(const struct rewrite *rewrite);

/* A copy without any namespaces; NULL: no memory. */
xmlNode *rewrite_plain_copy(const xmlNode *node, xmlDoc *document);

/* Removes an entry; with the last entry also our list, and <metadata> if that
   was not there before. */
void rewrite_remove_entry(xmlNode *entry);

/* Rewrites the chosen disks; -ENOMEM.  On the way forth, the caller has given
   each its name before. */
int rewrite_do(struct rewrite *rewrite);

/* rewrite-plug.c: disks that come and go. */

/* Adds a disk with this image, chosen for the way forth; pointers to disks are
   void then.  target is vdX or sdX.  Returns:
   0		the last disk is the new one
   -EINVAL	the domain cannot have such a disk; why has the reason
   -ENOMEM */
int rewrite_add(struct rewrite *rewrite, const char *target, const char *image,
		bool read_only, char why[DOMAIN_REASON_MAX]);

/* Does the disk's entry name this image, whose path has no symbolic links? */
bool rewrite_names(const struct rewrite_disk *disk, const char *image);

/* The disk's entry names this image from now on; -ENOMEM. */
int rewrite_rename(struct rewrite_disk *disk, const char *image);

/* Removes the entry of the disk with this path.  Was there one? */
bool rewrite_drop_entry(struct rewrite *rewrite, const char *source);

/* The path of an entry for which there is no disk: this path, or for the name
   of a target the first one.  xmlFree() frees it; NULL: there is none. */
char *rewrite_orphan(const struct rewrite *rewrite, const char *disk);

/* Removes entries of that device, or of that image, which no disk has: a
   command that died has left them. */
void rewrite_drop_orphans(const struct rewrite *rewrite, const char *dev,
			  const char *file);

/* Removes a chosen disk that could go back, and its entry; -EINVAL: no disk is
   chosen. */
int rewrite_remove(struct rewrite *rewrite);

/* The chosen disk alone, as libvirt wants it; the caller free()s it. */
char *rewrite_disk_text(const struct rewrite *rewrite);

/* Our list alone, without its namespace, as libvirt wants it; *text is NULL
   if there is none, else the caller free()s it.  -ENOMEM. */
int rewrite_list_text(const struct rewrite *rewrite, char **text);

#endif /* REWRITE_H */
