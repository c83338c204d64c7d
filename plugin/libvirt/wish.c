// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * One disk that a domain wants.  Under the lock of the disk's users, the hook
 * looks at the disk and acts:
 *
 *     not served             has the disk served, as a file in disks.d says if
 *                            an admin has one there; the disk will go with
 *                            its last user
 *     served, recorded for   uses this leftover of an earlier life, or replaces
 *       this domain          it if the entry wants another disk now
 *     served, recorded for   refuses, unless all share the disk
 *       another domain
 *     served, no record      uses the disk, which an admin has added, if it is
 *                            the one wanted; leaves it alone at the end
 *
 * In each case the hook records that this domain uses the disk before the hook
 * unlocks the users.  So two domains cannot both find that no domain does.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "plugin/libvirt/service.h"
#include "plugin/libvirt/unit.h"
#include "plugin/libvirt/wish.h"
#include "plugin/common/name.h"

#define ATTEMPTS 3

static int look_at_image(struct wish *wish, char why[DOMAIN_REASON_MAX])
{
	const struct image *image = &wish->image;
	int ret;

	if (!wish->entry)
		return 0;
	ret = image_look(wish->entry->file, &wish->image);
	if (ret)
		return domain_wrong(why, "%s", strerror(-ret));
	if (!wish->incoming || !*image->shared)
		return 0;
	return domain_wrong(
		why,
		"the image is on %s, and the host that the domain comes from "
		"may have it open, too; live migration to a host that shares "
		"the image is not possible yet: shut the domain down and start "
		"it here; if it came shut off, start it again",
		image->shared);
}

/* An `add` that was interrupted leaves a record for the next `add` to
   sweep. */
static bool is_served(const struct wish *wish, struct disk *disk)
{
	return !disk_find(wish->disk->source, disk) &&
	       (disk->state != DISK_ADDING || process_alive(&disk->supervisor));
}

/* --- the record ---------------------------------------------------------- */

static int is_stale(const struct owner *owner, void *opaque)
{
	const struct disk *disk = opaque;

	if (!strcmp(owner->name, disk->name) && owner->nonce != disk->nonce)
		owner_forget(owner->uuid, owner->name);
	return 0;
}

static int record(struct wish *wish, struct disk *disk, bool owned,
		  char why[DOMAIN_REASON_MAX])
{
	const struct call *call = wish->call;
	struct owner owner;
	bool known;
	int ret;

	known = !owner_load(call->uuid, disk->name, &owner) && !owner.begun &&
		owner_is_of(&owner, disk);
	owner_fill(&owner, call->uuid, call->name, disk);
	owner.owned = owned;
	owner.shareable = wish->disk->shareable;
	ret = owner_save(&owner);
	if (ret)
		return domain_wrong(why, "cannot write its record: %s",
				    strerror(-ret));
	/* Not before: what `start` has begun has no nonce. */
	owner_each(is_stale, disk);
	wish->recorded = !known;
	return 0;
}

/* --- served already ------------------------------------------------------ */

struct users {
	const struct wish *wish;
	const struct disk *disk;
	bool ours;   /* this domain is one */
	bool others; /* other domains share the disk */
	bool ended;  /* a domain that used the disk has ended */
	bool owned;
	struct owner refused; /* a domain that does not share */
};

static int look_at_user(const struct owner *owner, void *opaque)
{
	struct users *users = opaque;

	if (!owner_is_of(owner, users->disk))
		return 0;
	users->owned |= owner->owned;
	if (!strcmp(owner->uuid, users->wish->call->uuid))
		users->ours = true;
	else if (owner->released)
		users->ended = true;
	else if (owner->shareable && users->wish->disk->shareable)
		users->others = true;
	else
		users->refused = *owner;
	return 0;
}

/* Is the disk the one that the entry wants? */
static int check_disk(const struct wish *wish, const struct disk *disk,
		      char why[DOMAIN_REASON_MAX])
{
	const struct domain_entry *entry = wish->entry;

	if (!entry)
		return 0;
	if (!image_is_of(&wish->image, disk))
		return domain_wrong(why, "is served from another image, %s",
				    disk->image);
	if (entry->id >= 0 && entry->id != disk->id)
		return domain_wrong(why,
				    "is served as another device, /dev/ublkb%d",
				    disk->id);
	if (entry->options.read_only != disk->options.read_only)
		return domain_wrong(
			why, "is served %s, but its entry says readonly='%s'",
			disk->options.read_only ? "read-only" : "for writing",
			entry->options.read_only ? "yes" : "no");
	return 0;
}

/* Removes a leftover of this domain, or of one that has ended.  -EAGAIN: the
   disk is gone. */
static int remove_leftover(const struct disk *disk, char why[DOMAIN_REASON_MAX])
{
	int ret = release_remove(disk, HOOK_STOP_PATIENCE, why);

	return ret ? ret : -EAGAIN;
}

static int revive(struct disk *disk, char why[DOMAIN_REASON_MAX])
{
	const int id = disk->id;
	const uint64_t nonce = disk->nonce;
	int ret = service_revive(disk, HOOK_RECOVER_PATIENCE, why);

	/* The disk may have been about to go. */
	if (disk_load(id, disk) || disk->nonce != nonce)
		return -EAGAIN;
	return ret;
}

static int use_served(struct wish *wish, struct disk *disk,
		      char why[DOMAIN_REASON_MAX])
{
	struct users users = { .wish = wish, .disk = disk };
	int ret = owner_each(look_at_user, &users);

	if (ret)
		return domain_wrong(why,
				    "cannot read the records of its users: %s",
				    strerror(-ret));
	if (*users.refused.uuid)
		return domain_wrong(why, "is in use by domain %s",
				    users.refused.domain);
	ret = check_disk(wish, disk, why);
	if (users.owned && !users.others && (users.ours ? ret : users.ended))
		return remove_leftover(disk, why);
	if (!ret)
		ret = revive(disk, why);
	return ret ? ret : record(wish, disk, users.owned, why);
}

/* --- not served ---------------------------------------------------------- */

struct search {
	const struct image *image;
	struct disk disk;
	struct owner user;
};

static int serves_image(const struct disk *disk, void *opaque)
{
	struct search *search = opaque;

	if (!image_is_of(search->image, disk))
		return 0;
	search->disk = *disk;
	return 1;
}

static int is_its_user(const struct owner *owner, void *opaque)
{
	struct search *search = opaque;

	if (!owner_is_using(owner, &search->disk))
		return 0;
	search->user = *owner;
	return 1;
}

static int refuse_image(struct search *search, char why[DOMAIN_REASON_MAX])
{
	const struct disk *disk = &search->disk;

	if (owner_each(is_its_user, search) > 0)
		return domain_wrong(why,
				    "the image is in use by domain %s, as "
				    "/dev/ublkb%d, /dev/ublk-qcow2/%s",
				    search->user.domain, disk->id, disk->name);
	return domain_wrong(why,
			    "the image is served already as /dev/ublkb%d, "
			    "/dev/ublk-qcow2/%s: let the XML name that, or run "
			    "'ublk-qcow2 del %d'",
			    disk->id, disk->name, disk->id);
}

static int start_disk(struct wish *wish, char why[DOMAIN_REASON_MAX])
{
	struct search search = { .image = &wish->image };
	int ret;

	if (wish->entry && disk_each(serves_image, &search) > 0)
		return refuse_image(&search, why);
	ret = service_start(wish->entry, wish->name, why);
	if (ret == -EBUSY && wish->incoming)
		return domain_wrong(
			why, "the image is in use, maybe by the host that the "
			     "domain comes from: live migration to a host that "
			     "shares the image is not possible yet: use "
			     "--copy-storage-all, or shut the domain down");
	return ret;
}

static bool is_device(const char *path)
{
	struct stat st;

	return !stat(path, &st) && S_ISBLK(st.st_mode);
}

static int leave_alone(struct wish *wish, char why[DOMAIN_REASON_MAX])
{
	/* The device may be another program's; libvirt uses it as it is. */
	if (!domain_link_name(wish->disk->source) &&
	    is_device(wish->disk->source))
		return 0;
	wish->unexplained = true;
	return domain_wrong(why, "<metadata> has no entry that says which "
				 "image that is");
}

/* A file in disks.d has the last word, and may differ from the entry. */
static int start_and_record(struct wish *wish, char why[DOMAIN_REASON_MAX])
{
	char ignored[DOMAIN_REASON_MAX];
	struct disk disk;
	int ret = start_disk(wish, why);

	if (ret)
		return ret;
	if (disk_find(wish->disk->source, &disk))
		return domain_wrong(why, "was added, and is gone again");
	ret = check_disk(wish, &disk, why);
	if (!ret)
		ret = record(wish, &disk, true, why);
	if (ret)
		release_remove(&disk, HOOK_STOP_PATIENCE, ignored);
	return ret;
}

/* From before the disk is served a record tells `release` of it, in case that
   somebody kills us, or that the disk can be neither used nor removed.  An
   older record may be of a disk whose own record cannot be read just now. */
static int start(struct wish *wish, char why[DOMAIN_REASON_MAX])
{
	const struct call *call = wish->call;
	struct owner owner, older;
	struct disk disk;
	bool replaces;
	int ret;

	if (!wish->entry && !unit_is_configured(wish->name))
		return leave_alone(wish, why);
	replaces = !owner_load(call->uuid, wish->name, &older);
	owner_begin(&owner, call->uuid, call->name, wish->name);
	ret = owner_save(&owner);
	if (ret)
		return domain_wrong(why, "cannot write its record: %s",
				    strerror(-ret));
	ret = start_and_record(wish, why);
	if (!ret || is_served(wish, &disk))
		return ret;
	if (replaces)
		owner_save(&older);
	else
		owner_forget(call->uuid, wish->name);
	return ret;
}

/* --- one disk ------------------------------------------------------------ */

/* Finds the name under which the disk is served, or will be. */
static int find_name(struct wish *wish, char why[DOMAIN_REASON_MAX])
{
	const char *name = domain_link_name(wish->disk->source);
	const char *wrong;
	struct disk disk;

	if (is_served(wish, &disk))
		name = disk.name;
	else if (!name)
		/* The name of the device, which is no other disk's. */
		name = wish->disk->source + strlen("/dev/");
	wrong = name_check(name);
	if (wrong)
		return domain_wrong(why, "%s", wrong);
	strcpy(wish->name, name);
	return 0;
}

static int take_locked(struct wish *wish, char why[DOMAIN_REASON_MAX])
{
	struct disk disk;

	if (!is_served(wish, &disk))
		return start(wish, why);
	/* Before the hook had the lock, the disk had another name. */
	if (strcmp(disk.name, wish->name))
		return -EAGAIN;
	if (!wish->entry)
		strcpy(wish->image.path, disk.image);
	return use_served(wish, &disk, why);
}

static int take(struct wish *wish, char why[DOMAIN_REASON_MAX])
{
	int lock;
	int ret = find_name(wish, why);

	if (ret)
		return ret;
	ret = owner_lock(wish->name, service_patience(HOOK_LOCK_PATIENCE),
			 &lock);
	if (ret == -EBUSY)
		return domain_wrong(why, "another domain's hook is working on "
					 "it, and does not end");
	if (ret)
		return domain_wrong(why, "cannot lock its record: %s",
				    strerror(-ret));
	ret = take_locked(wish, why);
	close(lock);
	return ret;
}

/* Looks again for a disk that was about to go. */
int wish_fulfil(struct wish *wish, char why[DOMAIN_REASON_MAX])
{
	int attempts = ATTEMPTS;
	int ret = look_at_image(wish, why);

	if (ret)
		return ret;
	do
		ret = take(wish, why);
	while (ret == -EAGAIN && --attempts);
	if (ret == -EAGAIN)
		return domain_wrong(why,
				    "it was removed and added again and again "
				    "meanwhile");
	return ret;
}
