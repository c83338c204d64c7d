// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The check whether a domain's disks and our entries in its <metadata> fit
 * together.
 *
 * A disk and its entry are joined by the path of the device, as text.  Most
 * mistakes here would keep the domain from starting, with an error far from the
 * cause.  Others are worse, and would let the domain start: on an image that is
 * interpreted twice, or that QEMU opens beside a server.  So each mistake has a
 * message of its own, with the change to make.
 *
 * This file judges by the XML alone.  A disk without an entry may be served
 * all the same; that depends on the host, and is for wish.c to judge.
 */
#include <string.h>

#include "plugin/libvirt/domain.h"

const struct domain_entry *domain_entry_of(const struct domain *domain,
					   const struct domain_disk *disk)
{
	size_t i;

	for (i = 0; i < domain->nr_entries; i++)
		if (!strcmp(domain->entries[i].dev, disk->source))
			return &domain->entries[i];
	return NULL;
}

const struct domain_disk *domain_disk_of(const struct domain *domain,
					 const struct domain_entry *entry)
{
	size_t i;

	for (i = 0; i < domain->nr_disks; i++)
		if (!strcmp(domain->disks[i].source, entry->dev))
			return &domain->disks[i];
	return NULL;
}

/* The image of an entry is the entry's alone. */
static int check_image(const struct domain *domain, size_t number,
		       char why[DOMAIN_REASON_MAX])
{
	const struct domain_entry *entry = &domain->entries[number];
	size_t i;

	for (i = 0; i < number; i++) {
		if (!strcmp(domain->entries[i].dev, entry->dev))
			return domain_wrong(why,
					    "%s has two entries in <metadata>",
					    entry->dev);
		if (!strcmp(domain->entries[i].file, entry->file))
			return domain_wrong(why,
					    "%s is named by two entries in "
					    "<metadata>, those of %s and %s",
					    entry->file, domain->entries[i].dev,
					    entry->dev);
	}
	for (i = 0; i < domain->nr_disks; i++)
		if (!domain->disks[i].lower &&
		    !strcmp(domain->disks[i].source, entry->file))
			return domain_wrong(
				why,
				"%s is the image of %s, and disk %s has "
				"it as its source, too: it would have "
				"two writers",
				entry->file, entry->dev,
				domain->disks[i].target);
	return 0;
}

static int check_entry(const struct domain *domain, size_t number,
		       char why[DOMAIN_REASON_MAX])
{
	const struct domain_entry *entry = &domain->entries[number];

	if (!domain_disk_of(domain, entry))
		return domain_wrong(
			why,
			"<metadata> has an entry for %s, but no disk has "
			"that source: correct its dev, or remove it",
			entry->dev);
	return check_image(domain, number, why);
}

static int check_disk(const struct domain_disk *disk,
		      char why[DOMAIN_REASON_MAX])
{
	if (!disk->block)
		return domain_wrong(
			why,
			"disk %s, %s: it is a device, so the disk must "
			"be type='block' with <source dev='%s'/>",
			disk->target, disk->source, disk->source);
	if (disk->format && strcmp(disk->format, "raw"))
		return domain_wrong(
			why,
			"disk %s, %s: its %s says type='%s'; the "
			"device is a raw disk already, say type='raw'",
			disk->target, disk->source,
			disk->inner ? "<format>" : "driver", disk->format);
	if (disk->shareable && disk->cache && strcmp(disk->cache, "none") &&
	    strcmp(disk->cache, "directsync"))
		return domain_wrong(why,
				    "disk %s, %s: a shareable disk needs "
				    "cache='none', not '%s'",
				    disk->target, disk->source, disk->cache);
	return 0;
}

/* The path of a link of ours, almost. */
static bool is_misspelt(const char *path)
{
	return !strncmp(path, DOMAIN_LINKS, strlen(DOMAIN_LINKS)) &&
	       !domain_link_name(path);
}

static int check_path(const struct domain_disk *disk,
		      char why[DOMAIN_REASON_MAX])
{
	if (is_misspelt(disk->source))
		return domain_wrong(why,
				    "disk %s, %s: no disk of ublk-qcow2 has "
				    "that path; say " DOMAIN_LINKS "NAME, "
				    "without another '/'",
				    disk->target, disk->source);
	return domain_is_ours(disk->source) ? check_disk(disk, why) : 0;
}

int domain_check(const struct domain *domain, char why[DOMAIN_REASON_MAX])
{
	size_t i;
	int ret = 0;

	for (i = 0; i < domain->nr_entries && !ret; i++)
		ret = check_entry(domain, i, why);
	for (i = 0; i < domain->nr_disks && !ret; i++)
		ret = check_path(&domain->disks[i], why);
	return ret;
}
