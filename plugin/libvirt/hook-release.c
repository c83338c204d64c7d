// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * `release`: the domain has ended, or its start has failed.
 *
 * The hook acts by the records of this domain's uuid alone.  So a domain that
 * never got a disk removes none, and a second call does no harm.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "plugin/libvirt/hook.h"
#include "plugin/libvirt/service.h"

struct release {
	const struct call *call;
	int status;
};

static int release_one(const struct owner *owner, void *opaque)
{
	struct release *release = opaque;
	char why[DOMAIN_REASON_MAX];

	const struct call *call = release->call;

	if (strcmp(owner->uuid, call->uuid))
		return 0;
	if (release_disk(call->uuid, owner->name,
			 hook_patience(call, HOOK_LOCK_PATIENCE),
			 hook_patience(call, HOOK_STOP_PATIENCE), why))
		release->status = hook_say(
			call, "disk %s of %s: cannot be removed: %s",
			owner->name, owner->image, why);
	else if (*why)
		hook_say(call, "%s of %s: %s", owner->name, owner->image, why);
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
		return hook_say(call,
				"cannot read the records of its disks: %s",
				strerror(-ret));
	return release.status;
}
