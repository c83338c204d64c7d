/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Disks as units of systemd, ublk-qcow2@NAME.service, where that manages the
 * host.
 *
 * Functions return 0, or -errno with the reason in why.
 */
#ifndef UNIT_H
#define UNIT_H

#include "plugin/libvirt/domain.h"
#include "plugin/common/state.h"

/* Does systemd manage this host? */
bool unit_manager(void);

/* Is there a file disks.d/NAME.conf? */
bool unit_is_known(const char *name);

/* Is there one that the hook has not written? */
bool unit_is_configured(const char *name);

/* Configures an entry's disk, unless an admin has, and starts its unit; entry
   NULL: an admin has.  Returns:
   0		the disk is served
   -EBUSY	another process has one of its files in use
   -ETIMEDOUT	the time was over, and the unit was stopped
   or another -errno. */
int unit_start(const struct domain_entry *entry, const char *name,
	       int milliseconds, char why[DOMAIN_REASON_MAX]);

/* Has the unit of a disk that has lost its supervisor start another one.
   Returns as unit_start(). */
int unit_revive(const struct disk *disk, int milliseconds,
		char why[DOMAIN_REASON_MAX]);

/* Ends the start of a unit, which must not succeed later on, and removes the
   configuration as unit_end() does. */
void unit_give_up(const char *name);

/* After the end of a disk: ends the disk's unit, should that go on for a
   moment, and removes the configuration if the hook wrote it. */
void unit_end(const char *name);

#endif /* UNIT_H */
