// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A running domain's disks.  The domain's XML says which disks there are,
 * libvirt which of them failed, and our records whether they are served.
 *
 * libvirt may wait for QEMU, for half a minute at most, and is asked only
 * about domains that are paused.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "plugin/libvirt/domain.h"
#include "plugin/libvirt/guest.h"
#include "plugin/libvirt/room.h"
#include "plugin/libvirt/service.h"
#include "plugin/libvirt/xml.h"

/* --- which disks --------------------------------------------------------- */

/* libxml2's strings need not be malloc's. */
static char *copy_of(char *text)
{
	char *copy = text ? strdup(text) : NULL;

	xmlFree(text);
	return copy;
}

static void find_name(struct guest_disk *disk)
{
	struct disk record;
	const char *name = domain_link_name(disk->source);

	if (!name && !disk_find(disk->source, &record))
		name = record.name;
	disk->ours = name;
	snprintf(disk->name, sizeof(disk->name), "%s", name ?: "");
}

static void read_disk(const xmlNode *node, struct guest_disk *disk)
{
	const xmlNode *source = xml_child(node, "source");
	const bool block = xml_attribute_is(node, "type", "block");

	disk->target = copy_of(xml_attribute(xml_child(node, "target"), "dev"));
	disk->alias = copy_of(xml_attribute(xml_child(node, "alias"), "name"));
	disk->source = copy_of(xml_attribute(source, block ? "dev" : "file"));
	if (block && disk->source && domain_is_ours(disk->source))
		find_name(disk);
}

static bool has_medium(const xmlNode *node)
{
	return xml_is(node, "disk") && xml_child(node, "source");
}

static int read_disks(const xmlNode *devices, struct guest *guest)
{
	const xmlNode *node;
	struct guest_disk *disk;

	guest->disks = calloc(xmlChildElementCount((xmlNode *)devices) + 1,
			      sizeof(*guest->disks));
	if (!guest->disks)
		return -ENOMEM;
	for (node = devices->children; node; node = node->next) {
		if (!has_medium(node))
			continue;
		disk = &guest->disks[guest->nr_disks++];
		read_disk(node, disk);
		if (!disk->target)
			return -EINVAL;
	}
	return 0;
}

static int read_domain(const xmlNode *root, struct guest *guest)
{
	const xmlNode *devices = xml_child(root, "devices");
	char *uuid = xml_content(xml_child(root, "uuid"));
	int ret = uuid ? owner_uuid(uuid, guest->uuid) : -EINVAL;

	xmlFree(uuid);
	guest->name = copy_of(xml_content(xml_child(root, "name")));
	if (ret || !guest->name || !devices)
		return -EINVAL;
	return read_disks(devices, guest);
}

int guest_parse(const char *xml, struct guest *guest)
{
	xmlDoc *document = xml_read(xml, strlen(xml));
	int ret = -EINVAL;

	*guest = (struct guest){ 0 };
	if (document)
		ret = read_domain(xmlDocGetRootElement(document), guest);
	xmlFreeDoc(document);
	return ret;
}

int guest_read(virDomainPtr domain, struct guest *guest)
{
	char *xml = virDomainGetXMLDesc(domain, 0);
	int ret;

	*guest = (struct guest){ 0 };
	if (!xml)
		return -EIO;
	ret = guest_parse(xml, guest);
	free(xml);
	return ret;
}

void guest_free(struct guest *guest)
{
	size_t i;

	for (i = 0; i < guest->nr_disks; i++) {
		free(guest->disks[i].target);
		free(guest->disks[i].alias);
		free(guest->disks[i].source);
	}
	free(guest->disks);
	free(guest->name);
	*guest = (struct guest){ 0 };
}

/* --- how they are -------------------------------------------------------- */

int guest_is_stopped(virDomainPtr domain, bool *stopped)
{
	int state, reason;

	if (virDomainGetState(domain, &state, &reason, 0))
		return -EIO;
	*stopped = state == VIR_DOMAIN_PAUSED &&
		   reason == VIR_DOMAIN_PAUSED_IOERROR;
	return 0;
}

static void note_trouble(const struct guest *guest, struct decide_disk *states,
			 const virDomainDiskError *error)
{
	size_t i;

	for (i = 0; i < guest->nr_disks; i++) {
		if (strcmp(guest->disks[i].target, error->disk) != 0)
			continue;
		if (error->error == VIR_DOMAIN_DISK_ERROR_NO_SPACE)
			states[i].trouble = TROUBLE_SPACE;
		else if (error->error != VIR_DOMAIN_DISK_ERROR_NONE)
			states[i].trouble = TROUBLE_ERROR;
	}
}

static int look_at_troubles(virDomainPtr domain, const struct guest *guest,
			    struct decide_disk *states)
{
	virDomainDiskError *errors;
	int i, nr = virDomainGetDiskErrors(domain, NULL, 0, 0);

	if (nr < 0)
		return -EIO;
	errors = calloc(nr + 1, sizeof(*errors));
	if (!errors)
		return -ENOMEM;
	nr = nr ? virDomainGetDiskErrors(domain, errors, nr, 0) : 0;
	for (i = 0; i < nr; i++) {
		note_trouble(guest, states, &errors[i]);
		free(errors[i].disk);
	}
	free(errors);
	return nr < 0 ? -EIO : 0;
}

static void look_at_record(const struct guest_disk *disk,
			   struct decide_disk *state)
{
	struct disk record;

	state->ours = disk->ours;
	if (!disk->ours || disk_find(disk->source, &record))
		return;
	state->served = true;
	state->live = service_is_live(&record);
	state->orphan = !process_alive(&record.supervisor);
	if (state->trouble == TROUBLE_SPACE)
		state->room = room_for(record.image);
}

int guest_look(virDomainPtr domain, const struct guest *guest,
	       struct decide_disk *states)
{
	size_t i;
	int ret;

	memset(states, 0, guest->nr_disks * sizeof(*states));
	ret = look_at_troubles(domain, guest, states);
	for (i = 0; i < guest->nr_disks && !ret; i++)
		look_at_record(&guest->disks[i], &states[i]);
	return ret;
}
