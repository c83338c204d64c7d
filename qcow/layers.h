/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The files of an image besides its own: its data file and its backing. */
#ifndef QCOW_LAYERS_H
#define QCOW_LAYERS_H

#include "qcow/image.h"

/* reference.c */

/* The path that a name in a header means beside the file at path, not
   resolved; the caller frees it.  NULL: out of memory. */
char *reference_beside(const char *path, const char *name);
/* An absolute path of the image: of a device the name by which it was given,
   for that is where relative names lead; of a file the resolved one.  NULL:
   errno says why. */
char *reference_path(const char *path);
/* The path of a file that the image at path from names, if it may be opened
   (P6); from lies under top or is top.  The caller frees the path. */
int reference_resolve_from(const char *top, const char *from,
			   enum qcow_reference kind, const char *name,
			   const struct qcow_references *references,
			   char **path, struct qcow_error *error);
/* The same for an open image. */
int reference_resolve(const struct qcow_image *image, enum qcow_reference kind,
		      const char *name, const struct qcow_options *options,
		      char **path, struct qcow_error *error);

/* data.c: an external data file; not under the lock */

/* The name of the data file in the header. */
int data_find_name(const struct header *header, const struct header_area *area,
		   char *name, size_t size, struct qcow_error *error);
/* Opens it, if the image has one. */
int data_open(struct qcow_image *image, const struct qcow_options *options,
	      struct qcow_error *error);
/* Where the data file alone is the disk, too, this becomes zero there. */
int data_make_zero(struct qcow_image *image, uint64_t offset, uint64_t length);
/* Prepares a larger disk: if there is a data file, it gets room for that, and
   where it alone is the disk, it becomes as large, with zeros. */
int data_extend(struct qcow_image *image, uint64_t size);
/* How many of these bytes of clusters have a place: if there is a data file on
   a block device, the device may end with the disk, in the middle of a cluster.
 */
uint64_t data_clip(const struct qcow_image *image, uint64_t offset,
		   uint64_t length);
/* If there is a data file: nothing refers to these bytes of it any more. */
void data_give_back(struct qcow_image *image, uint64_t offset, uint64_t length);

/* layers.c: the files of an image besides its own */

/* Is this the file that the options know at that place, which is its place
   in qcow_fds()? */
int layers_check_file(const struct qcow_options *options, unsigned int index,
		      const struct file *file, struct qcow_error *error);
/* Does the caller hold the lock of a writer on the file at that place? */
bool layers_is_written(const struct qcow_options *options, unsigned int index);
/* Of the image on top, when all files under it are open: are these all that
   the options know, and has their key a use? */
int layers_check_all(const struct qcow_image *image,
		     const struct qcow_options *options,
		     struct qcow_error *error);
/* Adds a file at the place count; returns the next. */
unsigned int layers_add(struct qcow_layer *layers, unsigned int max,
			unsigned int count, const struct qcow_layer *layer);
/* Those of an image, likewise. */
unsigned int layers_of_image(const struct qcow_image *image,
			     struct qcow_layer *layers, unsigned int max,
			     unsigned int count);

/* backing-check.c: which files may lie under an image */

/* May anything lie under an image that has so many over it? */
int backing_check_depth(unsigned int depth, struct qcow_error *error);
/* Is the file one of those that image and its overlays are? */
int backing_check_loop(const struct qcow_image *image, const struct file *file,
		       const char *path, struct qcow_error *error);
bool backing_is_raw(const char *format);
/* Can the file at path be read in this format? */
int backing_check_format(const char *format, const char *path,
			 struct qcow_error *error);

/* backing.c: the files under an image, which are read and never change */

/* Opens the file that the header of the image names, and all files under
   that. */
int backing_open(struct qcow_image *image, const struct qcow_options *options,
		 struct qcow_error *error);
/* Of an image that is legacy itself: then all of it lies under it. */
int backing_open_legacy(struct qcow_image *image,
			const struct qcow_options *options,
			struct qcow_error *error);
/* A layer that was open for writing is closed cleanly, or fails. */
int backing_close(struct backing *backing);
/* The layer itself, if it is a qcow2 image; and if it is a raw file. */
struct qcow_image *backing_image(const struct backing *backing);
struct file *backing_raw(struct backing *backing);
/* Was it opened for writing, to be merged into? */
bool backing_is_written(const struct backing *backing);
/* Fills in the descriptors from their index on; returns how many in all. */
unsigned int backing_fds(const struct backing *backing, int *fds,
			 unsigned int max, unsigned int count);
/* Adds its files as layers_add() does. */
unsigned int backing_layers(const struct backing *backing,
			    struct qcow_layer *layers, unsigned int max,
			    unsigned int count);
/* In bytes; behind that, the range of an image reads as zero. */
uint64_t backing_size(const struct backing *backing);
/* The layer has grown, with zeros.  Under the lock of the image above. */
void backing_set_size(struct backing *backing, uint64_t size);
/* Is nothing allocated in that range, down to the bottom?  The range reads as
   zero then, and always will. */
bool backing_is_empty(const struct backing *backing, uint64_t offset,
		      uint64_t length);
/* Is there, at the bottom, a legacy image that needed a key? */
bool backing_is_encrypted(const struct backing *backing);
/* Adds its extents under a range of an image to a mapped read. */
int backing_map(struct backing *backing, struct qcow_io *io, uint64_t offset,
		uint32_t length, struct need *need);

#endif /* QCOW_LAYERS_H */
