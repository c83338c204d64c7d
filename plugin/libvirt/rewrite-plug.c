// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Disks that come and go.
 *
 * In the XML, a new disk begins as one of a qcow2 file, and goes the way forth
 * at once.  So the disk has the same form as one that was converted, and can
 * be converted back.
 */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "plugin/libvirt/rewrite.h"
#include "plugin/libvirt/xml.h"

static const struct {
	const char *prefix;
	const char *bus;
} buses[] = {
	{ "vd", "virtio" },
	{ "sd", "scsi" },
};

/* The bus that a target's name stands for, or NULL. */
static const char *bus_of(const char *target)
{
	const size_t letters = strspn(target, "abcdefghijklmnopqrstuvwxyz");
	size_t i;

	for (i = 0; i < sizeof(buses) / sizeof(buses[0]); i++)
		if (!strncmp(target, buses[i].prefix, 2) && letters > 2 &&
		    letters < 6 && !target[letters])
			return buses[i].bus;
	return NULL;
}

static int judge(const struct rewrite *rewrite, const char *target,
		 const char *image, char why[DOMAIN_REASON_MAX])
{
	size_t i;

	if (!bus_of(target))
		return domain_wrong(why,
				    "'%s' is no target; choose one like vdb or "
				    "sdb",
				    target);
	for (i = 0; i < rewrite->nr_disks; i++) {
		const struct rewrite_disk *disk = &rewrite->disks[i];

		if (disk->target && !strcmp(disk->target, target))
			return domain_wrong(why, "it has a disk %s already",
					    target);
		if (disk->file && !strcmp(disk->file, image))
			return domain_wrong(why, "%s is its disk %s already",
					    image, disk->target);
	}
	return 0;
}

static xmlNode *element(xmlNode *parent, const char *name)
{
	return xmlNewChild(parent, NULL, (const xmlChar *)name, NULL);
}

static void attribute(xmlNode *node, const char *name, const char *value)
{
	xmlNewProp(node, (const xmlChar *)name, (const xmlChar *)value);
}

static xmlNode *make_disk(xmlNode *devices, const char *target,
			  const char *image, bool read_only)
{
	xmlNode *disk = element(devices, "disk");
	xmlNode *driver, *source, *node;

	if (!disk)
		return NULL;
	attribute(disk, "type", "file");
	attribute(disk, "device", "disk");
	driver = element(disk, "driver");
	attribute(driver, "name", "qemu");
	attribute(driver, "type", "qcow2");
	source = element(disk, "source");
	attribute(source, "file", image);
	node = element(disk, "target");
	attribute(node, "dev", target);
	attribute(node, "bus", bus_of(target));
	if (read_only)
		element(disk, "readonly");
	return disk;
}

int rewrite_add(struct rewrite *rewrite, const char *target, const char *image,
		bool read_only, char why[DOMAIN_REASON_MAX])
{
	xmlNode *root = xmlDocGetRootElement(rewrite->document);
	xmlNode *devices = xml_child(root, "devices");
	struct rewrite_disk *disks;
	int ret = judge(rewrite, target, image, why);

	if (ret)
		return ret;
	if (!devices)
		devices = element(root, "devices");
	disks = reallocarray(rewrite->disks, rewrite->nr_disks + 1,
			     sizeof(*disks));
	if (!devices || !disks)
		return -ENOMEM;
	rewrite->disks = disks;
	disks += rewrite->nr_disks;
	*disks = (struct rewrite_disk){
		.node = make_disk(devices, target, image, read_only),
		.target = (char *)xmlStrdup((const xmlChar *)target),
		.source = (char *)xmlStrdup((const xmlChar *)image),
		.file = (char *)xmlStrdup((const xmlChar *)image),
		.chosen = true,
	};
	rewrite->nr_disks++;
	return disks->node ? 0 : -ENOMEM;
}

static struct rewrite_disk *chosen(const struct rewrite *rewrite)
{
	size_t i;

	for (i = 0; i < rewrite->nr_disks; i++)
		if (rewrite->disks[i].chosen)
			return &rewrite->disks[i];
	return NULL;
}

/* A disk knows its image without symbolic links, and an entry may name it with
   some. */
static bool leads_to(const char *path, const char *image)
{
	char resolved[PATH_MAX];

	return !strcmp(path, image) ||
	       (realpath(path, resolved) && !strcmp(resolved, image));
}

bool rewrite_names(const struct rewrite_disk *disk, const char *image)
{
	return leads_to(disk->file, image);
}

int rewrite_rename(struct rewrite_disk *disk, const char *image)
{
	if (!xmlSetProp(disk->entry, (const xmlChar *)"file",
			(const xmlChar *)image))
		return -ENOMEM;
	return rewrite_set_file(disk, image);
}

bool rewrite_drop_entry(struct rewrite *rewrite, const char *source)
{
	xmlNode *list = rewrite_list(rewrite);
	xmlNode *node;

	for (node = list ? list->children : NULL; node; node = node->next)
		if (xml_is(node, "disk") &&
		    xml_attribute_is(node, "dev", source)) {
			rewrite_remove_entry(node);
			return true;
		}
	return false;
}

/* A disk with this path or target. */
static bool has_disk(const struct rewrite *rewrite, const char *name)
{
	size_t i;

	for (i = 0; i < rewrite->nr_disks; i++) {
		const struct rewrite_disk *disk = &rewrite->disks[i];

		if ((disk->source && !strcmp(disk->source, name)) ||
		    (disk->target && !strcmp(disk->target, name)))
			return true;
	}
	return false;
}

static bool is_orphan(const struct rewrite *rewrite, const xmlNode *entry)
{
	char *dev = xml_attribute(entry, "dev");
	const bool is = dev && !has_disk(rewrite, dev);

	xmlFree(dev);
	return is;
}

char *rewrite_orphan(const struct rewrite *rewrite, const char *disk)
{
	xmlNode *list = has_disk(rewrite, disk) ? NULL : rewrite_list(rewrite);
	xmlNode *node;

	for (node = list ? list->children : NULL; node; node = node->next)
		if (xml_is(node, "disk") && is_orphan(rewrite, node) &&
		    (*disk != '/' || xml_attribute_is(node, "dev", disk)))
			return xml_attribute(node, "dev");
	return NULL;
}

static xmlNode *orphan_of(const struct rewrite *rewrite, const char *dev,
			  const char *file)
{
	xmlNode *list = rewrite_list(rewrite);
	xmlNode *node;

	for (node = list ? list->children : NULL; node; node = node->next)
		if (xml_is(node, "disk") && is_orphan(rewrite, node) &&
		    (xml_attribute_is(node, "dev", dev) ||
		     xml_attribute_is(node, "file", file)))
			return node;
	return NULL;
}

/* With the last entry goes the list. */
void rewrite_drop_orphans(const struct rewrite *rewrite, const char *dev,
			  const char *file)
{
	xmlNode *orphan;

	while ((orphan = orphan_of(rewrite, dev, file)))
		rewrite_remove_entry(orphan);
}

int rewrite_remove(struct rewrite *rewrite)
{
	struct rewrite_disk *disk = chosen(rewrite);

	if (!disk)
		return -EINVAL;
	rewrite_remove_entry(disk->entry);
	xmlUnlinkNode(disk->node);
	xmlFreeNode(disk->node);
	disk->node = NULL;
	return 0;
}

/* --- as texts ------------------------------------------------------------ */

static char *text_of(xmlNode *node)
{
	xmlBuffer *buffer = xmlBufferCreate();
	char *text = NULL;

	if (buffer && xmlNodeDump(buffer, node->doc, node, 0, 1) >= 0)
		text = strdup((const char *)xmlBufferContent(buffer));
	xmlBufferFree(buffer);
	return text;
}

char *rewrite_disk_text(const struct rewrite *rewrite)
{
	const struct rewrite_disk *disk = chosen(rewrite);

	return disk ? text_of(disk->node) : NULL;
}

int rewrite_list_text(const struct rewrite *rewrite, char **text)
{
	xmlNode *list = rewrite_list(rewrite);
	xmlNode *copy;

	*text = NULL;
	if (!list)
		return 0;
	copy = rewrite_plain_copy(list, rewrite->document);
	if (!copy)
		return -ENOMEM;
	*text = text_of(copy);
	xmlFreeNode(copy);
	return *text ? 0 : -ENOMEM;
}
