// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * `release`: the domain has ended, or its start has failed.
 *
 * What is to be done follows from the records of this domain's uuid alone, so
 * a domain that never got a disk takes none away, and doing it twice does no
 * harm.  A disk goes with its last user, if it was served for domains at all.
 *
 * A disk that cannot be removed, because somebody on the host still has it
 * open, keeps its record, marked: the next domain that asks for it tries
 * again, and is not told that this one is still using it.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "plugin/libvirt/hook.h"
#include "plugin/libvirt/serve.h"

int release_remove(const struct disk *disk, int milliseconds,
		   char why[DOMAIN_REASON_MAX])
{
	int ret = serve_stop(disk, milliseconds, why);

	if (!ret)
		owner_forget_all(disk);
	return ret;
}

/* --- one disk ------------------------------------------------------------ */

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

/* Is this very disk there, and does it have no other user? */
static bool is_to_go(const struct owner *owner, struct disk *disk)
{
	struct others others = { .owner = owner, .disk = disk };

	return owner->owned && !disk_load(owner->id, disk) &&
	       owner_is_of(owner, disk) && !owner_each(is_other, &others);
}

static int mark_released(struct owner *owner)
{
	owner->released = true;
	return owner_save(owner);
}

static int release_locked(const struct call *call, const char *name,
			  char why[DOMAIN_REASON_MAX])
{
	struct owner owner;
	struct disk disk;
	int ret = owner_load(call->uuid, name, &owner);

	if (ret == -ENOENT)
		return 0;
	if (ret)
		return domain_wrong(why, "cannot read its record: %s",
				    strerror(-ret));
	if (is_to_go(&owner, &disk)) {
		ret = release_remove(
			&disk, hook_patience(call, HOOK_STOP_PATIENCE), why);
		if (ret) {
			mark_released(&owner);
			return ret;
		}
		if (*why)
			hook_say(call, "%s of %s: %s", name, disk.image, why);
	}
	owner_forget(call->uuid, name);
	return 0;
}

int release_disk(const struct call *call, const char *name,
		 char why[DOMAIN_REASON_MAX])
{
	int lock;
	int ret = owner_lock(
		name, serve_patience(hook_patience(call, HOOK_LOCK_PATIENCE)),
		&lock);

	if (ret)
		return domain_wrong(why, "cannot lock its record: %s",
				    ret == -EBUSY ? "another hook is working "
						    "on it"
						  : strerror(-ret));
	ret = release_locked(call, name, why);
	close(lock);
	return ret;
}

/* --- all of the domain's ------------------------------------------------- */

struct release {
	const struct call *call;
	int status;
};

static int release_one(const struct owner *owner, void *opaque)
{
	struct release *release = opaque;
	char why[DOMAIN_REASON_MAX];

	if (strcmp(owner->uuid, release->call->uuid) ||
	    !release_disk(release->call, owner->name, why))
		return 0;
	release->status =
		hook_say(release->call, "disk %s of %s: cannot be removed: %s",
			 owner->name, owner->image, why);
	return 0;
}

int release_end(const struct call *call)
{
	struct release release = { .call = call };
	int ret;

	if (!*call->uuid)
		return hook_say(call, "%s", call->why);
	migrate_take(call);
	ret = owner_each(release_one, &release);
	if (ret)
		return hook_say(call, "cannot read what disks it has: %s",
				strerror(-ret));
	return release.status;
}
