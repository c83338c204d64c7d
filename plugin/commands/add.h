/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A new disk, as it is to be.
 */
#ifndef ADD_H
#define ADD_H

#include "plugin/common/disk-options.h"
#include "plugin/common/state.h"

/* add.c */

/* Judges the image, its options and the host, and fills in the disk, whose
   id is -1 if none was chosen.  Complains and returns 1, or 0. */
int add_judge(const struct disk_request *request, struct disk *disk);

/* Judges and serves an image, in this process or in the background.  Returns an
   exit status. */
int add_image(const struct disk_request *request, bool force, bool foreground);

/* add-all.c */

/* Serves all configured images that are not served yet.  Returns an exit
   status. */
int add_all(void);

#endif /* ADD_H */
