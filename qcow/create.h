/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A new image over one that there is. */
#ifndef QCOW_CREATE_H
#define QCOW_CREATE_H

#include "qcow/options.h"

struct qcow_overlay {
	const char *backing;   /* path of the file that will lie under it */
	const char *name;      /* by which it names that.  NULL: the file's own
				  name if it lies beside, else its path */
	const char *format;    /* of that file: "qcow2", "raw" or "qcow" */
	uint64_t size;	       /* virtual, bytes, whole sectors */
	uint32_t cluster_size; /* bytes.  0: that of a qcow2 image under it, but
				  4 KiB at least; 64 KiB over another */
};

/*
 * Makes an empty image of version 3 at path, durably, with owner, mode and
 * security label of the file under it.  -EEXIST: there is a file.  After a
 * death or a power loss there is no file at path, or the whole image.
 * Nobody's locks are asked or taken.
 */
int qcow_create_overlay(const char *path, const struct qcow_overlay *overlay,
			struct qcow_error *error);

/* Is the file, byte for byte, such an image that nobody has written to since?
   It is to name the file under it as overlay->name says, which is not NULL
   here; any size and any clusters will do.  Stores its size.  Takes no locks,
   so somebody else may just be about to write. */
bool qcow_is_new_overlay(const char *path, const struct qcow_overlay *overlay,
			 uint64_t *size);

#endif /* QCOW_CREATE_H */
