// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The judgement on a domain: may it be converted in its state?
 *
 * A saved state, a snapshot and a checkpoint hold a definition of their own,
 * with the disk as it was when they were made.  libvirt would go back to that
 * definition, so none of them may exist.
 */
#include <stdlib.h>
#include <string.h>

#include "plugin/common/log.h"
#include "plugin/libvirt/convert.h"
#include "plugin/libvirt/xml.h"

int convert_judge_state(const struct conversion *conversion)
{
	virDomainPtr domain = conversion->domain;
	const char *name = conversion->name;

	if (virDomainIsPersistent(domain) != 1)
		return complain("%s: is transient: it has no definition that "
				"could be changed; change the XML that it is "
				"created from",
				name);
	if (virDomainIsActive(domain) != 0)
		return complain("%s: is running; shut it down first (virsh "
				"shutdown %s)",
				name, conversion->word);
	if (virDomainHasManagedSaveImage(domain, 0) != 0)
		return complain("%s: has a saved state, which knows its disks "
				"as they are; start it and shut it down, or "
				"virsh managedsave-remove %s",
				name, conversion->word);
	return 0;
}

/* Does any attribute have this value? */
static bool xml_mentions(const xmlNode *node, const char *path)
{
	const xmlAttr *attr;
	bool found = false;

	for (; node && !found; node = node->next) {
		if (node->type != XML_ELEMENT_NODE)
			continue;
		for (attr = node->properties; attr && !found; attr = attr->next)
			found = xml_attribute_is(node, (const char *)attr->name,
						 path);
		found = found || xml_mentions(node->children, path);
	}
	return found;
}

/* Takes over the text.  A text that cannot be read counts as a mention. */
static bool text_mentions(char *text, const char *path)
{
	xmlDoc *document = text ? xml_read(text, strlen(text)) : NULL;
	const bool found = !document ||
			   xml_mentions(xmlDocGetRootElement(document), path);

	xmlFreeDoc(document);
	free(text);
	return found;
}

static bool snapshots_mention(virDomainPtr domain, const char *path)
{
	virDomainSnapshotPtr *snapshots = NULL;
	bool found = false;
	int i, nr;

	nr = virDomainListAllSnapshots(domain, &snapshots, 0);
	for (i = 0; i < nr; i++) {
		found = found || text_mentions(virDomainSnapshotGetXMLDesc(
						       snapshots[i], 0),
					       path);
		virDomainSnapshotFree(snapshots[i]);
	}
	free(snapshots);
	return found;
}

static bool checkpoints_mention(virDomainPtr domain, const char *path)
{
	virDomainCheckpointPtr *checkpoints = NULL;
	bool found = false;
	int i, nr;

	nr = virDomainListAllCheckpoints(domain, &checkpoints, 0);
	for (i = 0; i < nr; i++) {
		found = found || text_mentions(virDomainCheckpointGetXMLDesc(
						       checkpoints[i], 0),
					       path);
		virDomainCheckpointFree(checkpoints[i]);
	}
	free(checkpoints);
	return found;
}

int convert_judge_snapshots(const struct conversion *conversion,
			    const struct rewrite_disk *disk)
{
	const char *name = conversion->name;

	if (snapshots_mention(conversion->domain, disk->source))
		return complain("%s: libvirt's snapshots of it know disk %s as "
				"it is; remove them first (virsh snapshot-list "
				"%s, virsh snapshot-delete), or only "
				"libvirt's notes of them, with --metadata",
				name, disk->target, conversion->word);
	if (checkpoints_mention(conversion->domain, disk->source))
		return complain("%s: its checkpoints know disk %s as it is; "
				"remove them first (virsh checkpoint-list %s, "
				"virsh checkpoint-delete)",
				name, disk->target, conversion->word);
	return 0;
}
