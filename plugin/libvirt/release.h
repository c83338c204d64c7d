/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The end of a domain's use of a disk.
 */
#ifndef RELEASE_H
#define RELEASE_H

#include "plugin/libvirt/domain.h"
#include "plugin/common/state.h"

/* Ends the use of a disk by the domain of this uuid, and removes the disk if
   that was its last user.  Waits lock_patience ms for another hook's work on
   the disk, and that many milliseconds for processes that still have the disk
   open.  Returns:
   0		done; why is "", or has a complaint about a part of the work
   -errno	not done; why has the reason */
int release_disk(const char *uuid, const char *name, int lock_patience,
		 int milliseconds, char why[DOMAIN_REASON_MAX]);

/* Removes a disk and the records of its users.  Returns as service_stop(). */
int release_remove(const struct disk *disk, int milliseconds,
		   char why[DOMAIN_REASON_MAX]);

#endif /* RELEASE_H */
