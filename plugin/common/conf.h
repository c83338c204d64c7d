/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Disks by configuration: NAME.conf in one of two directories is the disk
 * NAME, with the options of `add` as `key = value` lines.
 *
 * Functions return 0 or -errno; a failure leaves one line in text, with the
 * file, the line, the key, and the allowed values.
 */
#ifndef CONF_H
#define CONF_H

#include "plugin/common/disk-options.h"
#include "plugin/common/state.h"

#define CONF_TEXT_MAX 1024

enum conf_place {
	CONF_ADMIN,   /* the administrator's, for good */
	CONF_RUNTIME, /* of programs, until the next boot */
	NR_CONF_PLACES
};

/* The directory, without a / at its end. */
const char *conf_directory(enum conf_place place);

/* A disk as a file configures it.  The strings in request point into this
   struct, so a copy of the struct would not do. */
struct conf {
	struct disk_request request;
	char path[PATH_MAX]; /* of the file */
	char name[DISK_NAME_MAX + 1];
	char image[PATH_MAX];
};

/* Reads the file that configures disk NAME.  Returns:
   0		*conf is filled in
   -ENOENT	there is no such file
   -EEXIST	there are two such files
   -EINVAL	the name is wrong, or the file is
   or another -errno: the file cannot be read now. */
int conf_find(const char *name, struct conf *conf, char text[CONF_TEXT_MAX]);

/* Calls visit with the name of each disk that the administrator has
   configured, in order of names. */
int conf_each(void (*visit)(const char *name, void *opaque), void *opaque,
	      char text[CONF_TEXT_MAX]);

/* conf-file.c: the contents of a file. */

/* Reads conf->path, the file of the disk conf->name.  Returns as
   conf_find(). */
int conf_read_file(struct conf *conf, char text[CONF_TEXT_MAX]);

/* Does the line, with or without its end, give the key `image` a value? */
bool conf_is_image_line(const char *line);

/* Can a file name this path?  A value is a line without blanks at its ends. */
bool conf_can_name(const char *path);

/* conf-image.c: does the file of the disk NAME name that image?  Returns:
   0		it does
   -ENOENT	there is no file
   -EINVAL	the file names another image
   or another -errno: nobody knows. */
int conf_check_image(const char *name, const char *image,
		     char text[CONF_TEXT_MAX]);

/* Does the file of another disk than NAME name that image?  Returns:
   0		path is that file
   -ENOENT	none does
   or another -errno: nobody knows. */
int conf_find_other(const char *name, const char *image, char path[PATH_MAX],
		    char text[CONF_TEXT_MAX]);

/* Has the file of the disk NAME name another image than before.  Returns:
   0		the file names the other image, durably
   -ENOENT	there is no file
   -EINVAL	the file names neither of the two, or cannot name the other
   or another -errno: the file may name either of the two. */
int conf_change_image(const char *name, const char *from, const char *to,
		      char text[CONF_TEXT_MAX]);

#endif /* CONF_H */
