// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * `started`: QEMU runs, and the guest is about to run.  `reconnect`: libvirtd
 * was restarted, and the guest ran all the time.
 *
 * At both, the hook looks at each disk that the XML or a record of this domain
 * names, and recovers it if a process is missing, so that no guest waits for a
 * dead server.  Wrong XML does not keep the hook from the disks of the
 * records.
 *
 * A record may be missing at `reconnect`: the domain was started before the
 * hook was installed, or the disk was plugged in since.  If an entry in
 * <metadata> claims the disk, and no other domain does, the hook writes the
 * record.  The disk then goes with the domain, unless a file in disks.d is an
 * admin's word that the disk is to be there.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "plugin/libvirt/hook.h"
#include "plugin/libvirt/service.h"
#include "plugin/libvirt/unit.h"

#define CLAIM_PATIENCE 5000 /* ms */

static int revive(const struct call *call, const struct disk *disk)
{
	const int patience = hook_patience(call, HOOK_RECOVER_PATIENCE);
	char why[DOMAIN_REASON_MAX];

	if (service_is_live(disk) || !service_revive(disk, patience, why))
		return EXIT_SUCCESS;
	return hook_say(call, "disk %s of %s: cannot be recovered: %s",
			disk->name, disk->image, why);
}

struct look {
	const struct call *call;
	int status;
};

static int revive_recorded(const struct owner *owner, void *opaque)
{
	struct look *look = opaque;
	struct disk disk;

	if (!strcmp(owner->uuid, look->call->uuid) &&
	    !disk_load(owner->id, &disk) && owner_is_of(owner, &disk) &&
	    revive(look->call, &disk))
		look->status = EXIT_FAILURE;
	return 0;
}

/* --- the disks that the XML names ---------------------------------------- */

static bool has_record(const struct call *call, const struct disk *disk)
{
	struct owner owner;

	return *call->uuid && !owner_load(call->uuid, disk->name, &owner) &&
	       !owner.begun && owner_is_of(&owner, disk);
}

static int is_user(const struct owner *owner, void *disk)
{
	return owner_is_using(owner, disk);
}

static void claim(const struct call *call, const struct domain_disk *wanted,
		  struct disk *disk)
{
	const int patience = hook_patience(call, CLAIM_PATIENCE);
	struct owner owner;
	int lock;

	if (owner_lock(disk->name, patience, &lock))
		return;
	if (!owner_each(is_user, disk)) {
		owner_fill(&owner, call->uuid, call->name, disk);
		/* An admin's, who has had it served without us. */
		owner.owned = !unit_is_configured(disk->name);
		owner.shareable = wanted->shareable;
		owner_save(&owner);
	}
	close(lock);
}

/* A disk without a record whose path is that of a plain device may be another
   program's. */
static int look_after_named(const struct call *call,
			    const struct domain_disk *wanted)
{
	const bool entry = domain_entry_of(&call->domain, wanted);
	struct disk disk;

	if (disk_find(wanted->source, &disk)) {
		if (!entry && !domain_link_name(wanted->source))
			return EXIT_SUCCESS;
		return hook_say(call, "disk %s, %s: is not served any more",
				wanted->target, wanted->source);
	}
	if (has_record(call, &disk))
		return EXIT_SUCCESS;
	if (entry && *call->uuid)
		claim(call, wanted, &disk);
	return revive(call, &disk);
}

/* --- both ---------------------------------------------------------------- */

static int look_after_all(const struct call *call)
{
	struct look look = { .call = call };
	size_t i;

	if (call->wrong)
		look.status = hook_say(call, "%s", call->why);
	if (*call->uuid)
		owner_each(revive_recorded, &look);
	for (i = 0; i < call->domain.nr_disks; i++)
		if (domain_is_ours(call->domain.disks[i].source) &&
		    look_after_named(call, &call->domain.disks[i]))
			look.status = EXIT_FAILURE;
	return look.status;
}

int started_begin(const struct call *call)
{
	return look_after_all(call);
}

int reconnect_begin(const struct call *call)
{
	look_after_all(call);
	return EXIT_SUCCESS;
}
