// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * `prepare`: the domain is about to start, and needs its disks.
 *
 * First the hook judges the XML as a whole, then it takes each disk in turn
 * (wish.c).  If one disk fails, the hook undoes its work for the disks before;
 * libvirt calls `release` then, too, which finds nothing left to do.
 */
#include <stdlib.h>
#include <string.h>

#include "plugin/libvirt/wish.h"

static int refuse(const struct wish *wish, const char *why)
{
	const struct domain_disk *disk = wish->disk;
	const char *image = wish->entry ? wish->entry->file : wish->image.path;

	if (wish->unexplained)
		return hook_say(wish->call, "disk %s names %s, but %s",
				disk->target, disk->source, why);
	return hook_say(wish->call, "disk %s, %s%s%s: %s", disk->target,
			disk->source, *image ? " of " : "", image, why);
}

static void undo(const struct wish *wishes, size_t nr)
{
	char ignored[DOMAIN_REASON_MAX];

	/* If something cannot be undone now, `release` tries again, and
	   tells. */
	while (nr--) {
		const struct call *call = wishes[nr].call;

		if (wishes[nr].recorded)
			release_disk(call->uuid, wishes[nr].name,
				     hook_patience(call, HOOK_LOCK_PATIENCE),
				     hook_patience(call, HOOK_STOP_PATIENCE),
				     ignored);
	}
}

/* Finds an earlier disk that is the same device, or NULL.  The names are
   compared, as both the link and the number may be in the XML.  A disk that
   lies below other images is only read, by any number of them. */
static const struct domain_disk *find_same(const struct wish *wishes, size_t nr)
{
	const struct wish *last = &wishes[nr];
	size_t i;

	for (i = 0; i < nr; i++)
		if (!strcmp(wishes[i].name, last->name) &&
		    !(wishes[i].disk->shareable && last->disk->shareable) &&
		    !(wishes[i].disk->lower && last->disk->lower))
			return wishes[i].disk;
	return NULL;
}

static int fulfil(struct wish *wishes, size_t nr, char why[DOMAIN_REASON_MAX])
{
	const struct domain_disk *same;
	int ret = wish_fulfil(&wishes[nr], why);

	same = ret ? NULL : find_same(wishes, nr);
	if (same)
		return domain_wrong(why,
				    "is disk %s already: the device would have "
				    "two writers",
				    same->target);
	return ret;
}

static int take_all(const struct call *call, struct wish *wishes)
{
	const struct domain *domain = &call->domain;
	const bool incoming = migrate_take(call);
	char why[DOMAIN_REASON_MAX];
	size_t i, nr = 0;

	for (i = 0; i < domain->nr_disks; i++) {
		struct wish *wish = &wishes[nr];

		if (!domain_is_ours(domain->disks[i].source))
			continue;
		wish->call = call;
		wish->disk = &domain->disks[i];
		wish->entry = domain_entry_of(domain, wish->disk);
		wish->incoming = incoming;
		if (fulfil(wishes, nr, why)) {
			refuse(wish, why);
			undo(wishes, nr);
			return EXIT_FAILURE;
		}
		nr++;
	}
	return EXIT_SUCCESS;
}

int prepare_begin(const struct call *call)
{
	char why[DOMAIN_REASON_MAX];
	struct wish *wishes;
	int status;

	if (call->wrong)
		return hook_say(call, "%s", call->why);
	if (domain_check(&call->domain, why))
		return hook_say(call, "%s", why);
	if (!hook_concerns_us(call))
		return EXIT_SUCCESS;
	wishes = calloc(call->domain.nr_disks, sizeof(*wishes));
	if (!wishes)
		return hook_say(call, "out of memory");
	status = take_all(call, wishes);
	free(wishes);
	return status;
}
