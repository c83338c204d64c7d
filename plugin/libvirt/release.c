// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The end of a domain's use of a disk.
 *
 * A disk that was served for domains goes with its last user.  While another
 * process on the host has the disk open, the disk stays, and the record of its
 * user is marked: the next domain that asks for the disk tries again, and is
 * not told that the former user still uses it.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "plugin/libvirt/release.h"
#include "plugin/libvirt/service.h"
#include "plugin/libvirt/unit.h"
#include "plugin/common/owner.h"

struct others {
	const struct owner *owner;
	const struct disk *disk;
};

static int is_other(const struct owner *owner, void *opaque)
{
	const struct others *others = opaque;

	return owner_is_using(owner, others->disk) &&
	       strcmp(owner->uuid, others->owner->uuid);
}

/* Is it this very disk, and does it have no other user? */
static bool is_to_go(const struct owner *owner, const struct disk *disk)
{
	struct others others = { .owner = owner, .disk = disk };

	return owner->owned && owner_is_of(owner, disk) &&
	       !owner_each(is_other, &others);
}

static int mark_released(struct owner *owner)
{
	owner->released = true;
	return owner_save(owner);
}

static int find_disk(const struct owner *owner, struct disk *disk)
{
	return owner->begun ? disk_of_name(owner->name, disk) :
			      disk_load(owner->id, disk);
}

/* The disk is not there, but a hook was killed: the disk's unit may be about to
   serve it, or the unit's file may be left. */
static void end_unit(const struct owner *owner)
{
	struct disk disk;

	if (!owner->owned || disk_of_name(owner->name, &disk) != -ENOENT)
		return;
	if (owner->begun && unit_manager())
		unit_give_up(owner->name);
	else if (!unit_is_configured(owner->name))
		unit_end(owner->name);
}

static int release_locked(const char *uuid, const char *name, int milliseconds,
			  char why[DOMAIN_REASON_MAX])
{
	struct owner owner;
	struct disk disk;
	int ret = owner_load(uuid, name, &owner);

	if (ret == -ENOENT)
		return 0;
	if (ret)
		return domain_wrong(why, "cannot read its record: %s",
				    strerror(-ret));
	ret = find_disk(&owner, &disk);
	/* The record may be read again, and then the disk goes. */
	if (ret && ret != -ENOENT && owner.owned)
		return domain_wrong(why,
				    "cannot read the record of the disk: "
				    "%s",
				    strerror(-ret));
	if (!ret && is_to_go(&owner, &disk)) {
		ret = release_remove(&disk, milliseconds, why);
		if (ret) {
			mark_released(&owner);
			return ret;
		}
	} else {
		end_unit(&owner);
	}
	owner_forget(uuid, name);
	return 0;
}

int release_disk(const char *uuid, const char *name, int lock_patience,
		 int milliseconds, char why[DOMAIN_REASON_MAX])
{
	int lock;
	int ret = owner_lock(name, service_patience(lock_patience), &lock);

	*why = '\0';
	if (ret)
		return domain_wrong(why, "cannot lock its record: %s",
				    ret == -EBUSY ? "another hook is working "
						    "on it" :
						    strerror(-ret));
	ret = release_locked(uuid, name, milliseconds, why);
	close(lock);
	return ret;
}

int release_remove(const struct disk *disk, int milliseconds,
		   char why[DOMAIN_REASON_MAX])
{
	int ret = service_stop(disk, milliseconds, why);

	if (!ret)
		owner_forget_all(disk);
	return ret;
}
