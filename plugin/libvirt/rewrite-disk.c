// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Rewriting a domain's XML.
 *
 * An element that is not ours to change stays as it is; so a disk keeps its
 * bus, its boot order, its iothread.  Our entry for the disk gets a copy of
 * each element that is changed or dropped:
 *
 *   <ublk:disk dev='/dev/ublk-qcow2/web1-vda' file='/srv/web1.qcow2'>
 *     <ublk:before>
 *       <driver .../> <source .../> <backingStore .../>
 *     </ublk:before>
 *   </ublk:disk>
 *
 * The way back takes the changes of the way forth from there, and nothing
 * else: an edit in between stays.  The image is the one that the entry names,
 * which may have moved.  An entry that was written by hand has no <before>;
 * then the driver only becomes qcow2 again.
 *
 * <source> is replaced whole.  Its contents belong to a file: a label that
 * keeps libvirt from touching the file would keep QEMU from opening our
 * device.  <backingStore> goes because the device has none.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plugin/libvirt/rewrite.h"
#include "plugin/libvirt/xml.h"

/* clang-format off */

/* The attributes of the driver of a disk of ours; NULL: it has none of that
   name. */
static const struct {
	const char *name;
	const char *value;
} driver_attributes[] = {
	{ "name", "qemu" },
	{ "type", "raw" },
	{ "cache", "none" },
	{ "io", "io_uring" },
	{ "discard", "unmap" },
	{ "error_policy", "stop" },
	{ "rerror_policy", "stop" },
	{ "copy_on_read", NULL },
	{ "discard_no_unref", NULL },
};

#define NR_DRIVER_ATTRIBUTES \
	(sizeof(driver_attributes) / sizeof(driver_attributes[0]))

/* An element of <driver> that only a qcow2 may have. */
#define DRIVER_ELEMENT	"metadata_cache"

#define WAS_EMPTY_VALUE	"was-empty"

/* clang-format on */

static const xmlChar *text_of(const char *text)
{
	return (const xmlChar *)text;
}

static int set(xmlNode *node, const char *name, const char *value)
{
	return xmlSetProp(node, text_of(name), text_of(value)) ? 0 : -ENOMEM;
}

static void remove_node(xmlNode *node)
{
	if (!node)
		return;
	xmlUnlinkNode(node);
	xmlFreeNode(node);
}

/* A new last child, in the namespace of its parent if ours. */
static xmlNode *add_child(xmlNode *parent, bool ours, const char *name)
{
	return xmlNewChild(parent, ours ? parent->ns : NULL, text_of(name),
			   NULL);
}

static xmlNode *metadata_of(const struct rewrite *rewrite)
{
	return xml_child(xmlDocGetRootElement(rewrite->document), "metadata");
}

xmlNode *rewrite_list(const struct rewrite *rewrite)
{
	xmlNode *metadata = metadata_of(rewrite);
	xmlNode *node;

	for (node = metadata ? metadata->children : NULL; node;
	     node = node->next)
		if (xml_is_ours(node, "disks"))
			return node;
	return NULL;
}

/* --- forth --------------------------------------------------------------- */

/* libvirt writes <metadata> behind the elements that identify the domain. */
static xmlNode *add_metadata(xmlNode *root)
{
	static const char *const before[] = { "name",  "uuid",	"hwuuid",
					      "genid", "title", "description" };
	xmlNode *metadata = xmlNewNode(NULL, text_of("metadata"));
	xmlNode *after = NULL;
	xmlNode *node;
	size_t i;

	for (node = root->children; node; node = node->next)
		for (i = 0; i < sizeof(before) / sizeof(before[0]); i++)
			if (xml_is(node, before[i]))
				after = node;
	return metadata && after ? xmlAddNextSibling(after, metadata) : NULL;
}

static xmlNode *add_list(const struct rewrite *rewrite)
{
	xmlNode *metadata = metadata_of(rewrite);
	const bool was_empty = metadata && !metadata->children;
	xmlNode *list;

	if (!metadata)
		metadata = add_metadata(
			xmlDocGetRootElement(rewrite->document));
	if (!metadata)
		return NULL;
	list = add_child(metadata, false, "disks");
	if (!list)
		return NULL;
	list->ns = xmlNewNs(list, text_of(DOMAIN_NAMESPACE),
			    text_of(DOMAIN_PREFIX));
	if (was_empty && set(list, DOMAIN_WAS_EMPTY, WAS_EMPTY_VALUE))
		return NULL;
	return list->ns ? list : NULL;
}

/* Appends a copy of the element, if there is one, to the parent. */
static int copy(const xmlNode *node, xmlNode *parent)
{
	xmlNode *made;

	if (!node)
		return 0;
	made = xmlDocCopyNode((xmlNode *)node, parent->doc, 1);
	if (!made)
		return -ENOMEM;
	/* The elements stay plain, also where ours have no prefix. */
	if (parent->ns && !parent->ns->prefix)
		xmlNewNs(made, text_of(""), NULL);
	xmlAddChild(parent, made);
	return 0;
}

static int add_entry(const struct rewrite *rewrite, struct rewrite_disk *disk,
		     const char *dev)
{
	xmlNode *list, *before;
	int ret;

	rewrite_drop_orphans(rewrite, dev, disk->file);
	list = rewrite_list(rewrite);
	if (!list)
		list = add_list(rewrite);
	disk->entry = list ? add_child(list, true, "disk") : NULL;
	before = disk->entry ? add_child(disk->entry, true, DOMAIN_BEFORE) :
			       NULL;
	if (!before)
		return -ENOMEM;
	ret = set(disk->entry, "dev", dev);
	if (!ret)
		ret = set(disk->entry, "file", disk->file);
	if (!ret && xml_child(disk->node, "readonly"))
		ret = set(disk->entry, "readonly", "yes");
	if (!ret)
		ret = copy(xml_child(disk->node, "driver"), before);
	if (!ret)
		ret = copy(xml_child(disk->node, "source"), before);
	if (!ret)
		ret = copy(xml_child(disk->node, "backingStore"), before);
	return ret;
}

static int change_driver(xmlNode *driver)
{
	int ret = 0;
	size_t i;

	for (i = 0; i < NR_DRIVER_ATTRIBUTES && !ret; i++) {
		if (driver_attributes[i].value)
			ret = set(driver, driver_attributes[i].name,
				  driver_attributes[i].value);
		else
			xmlUnsetProp(driver,
				     text_of(driver_attributes[i].name));
	}
	remove_node(xml_child(driver, DRIVER_ELEMENT));
	return ret;
}

static int go_forth(const struct rewrite *rewrite, struct rewrite_disk *disk)
{
	xmlNode *source = xml_child(disk->node, "source");
	char dev[sizeof(DOMAIN_LINKS) + DISK_NAME_MAX];
	xmlNode *device = xmlNewNode(NULL, text_of("source"));
	int ret;

	snprintf(dev, sizeof(dev), DOMAIN_LINKS "%s", disk->name);
	ret = device ? add_entry(rewrite, disk, dev) : -ENOMEM;
	if (!ret)
		ret = change_driver(xml_child(disk->node, "driver"));
	if (!ret)
		ret = set(disk->node, "type", "block");
	if (!ret)
		ret = set(device, "dev", dev);
	if (ret) {
		xmlFreeNode(device);
		return ret;
	}
	xmlFreeNode(xmlReplaceNode(source, device));
	remove_node(xml_child(disk->node, "backingStore"));
	return 0;
}

/* --- back ---------------------------------------------------------------- */

/* A <disk> has no namespaces, even if the copied element had. */
static void make_plain(xmlNode *node)
{
	xmlNode *child;
	xmlAttr *attr;

	for (child = node->children; child; child = child->next)
		make_plain(child);
	for (attr = node->properties; attr; attr = attr->next)
		attr->ns = NULL;
	node->ns = NULL;
	xmlFreeNsList(node->nsDef);
	node->nsDef = NULL;
}

xmlNode *rewrite_plain_copy(const xmlNode *node, xmlDoc *document)
{
	xmlNode *made = xmlDocCopyNode((xmlNode *)node, document, 1);

	if (made)
		make_plain(made);
	return made;
}

static int restore_attribute(xmlNode *driver, const xmlNode *before,
			     const char *name)
{
	char *value = xml_attribute(before, name);
	int ret = 0;

	if (value)
		ret = set(driver, name, value);
	else
		xmlUnsetProp(driver, text_of(name));
	xmlFree(value);
	return ret;
}

static int restore_driver(xmlNode *driver, const xmlNode *before)
{
	const xmlNode *element = xml_child(before, DRIVER_ELEMENT);
	xmlNode *made;
	int ret = 0;
	size_t i;

	if (!before)
		return set(driver, "type", "qcow2");
	for (i = 0; i < NR_DRIVER_ATTRIBUTES && !ret; i++)
		ret = restore_attribute(driver, before,
					driver_attributes[i].name);
	if (ret || !element || xml_child(driver, DRIVER_ELEMENT))
		return ret;
	made = rewrite_plain_copy(element, driver->doc);
	if (!made)
		return -ENOMEM;
	xmlAddChild(driver, made);
	return 0;
}

/* Was the source before a volume of a pool, and not a file? */
static bool was_volume(const xmlNode *before)
{
	char *volume = before ? xml_attribute(before, "volume") : NULL;
	bool was = volume != NULL;

	xmlFree(volume);
	return was;
}

/* <source> becomes that of a file, or of a volume, again. */
static xmlNode *restore_source(const struct rewrite_disk *disk,
			       const xmlNode *before)
{
	xmlDoc *document = disk->node->doc;
	xmlNode *source = before ? rewrite_plain_copy(before, document) :
				   xmlNewDocNode(document, NULL,
						 text_of("source"), NULL);

	if (!source)
		return NULL;
	if (!was_volume(before) && set(source, "file", disk->file)) {
		xmlFreeNode(source);
		return NULL;
	}
	xmlFreeNode(xmlReplaceNode(xml_child(disk->node, "source"), source));
	return source;
}

static int restore_backing(xmlNode *source, const xmlNode *before)
{
	xmlNode *made;

	if (!before || xml_child(source->parent, "backingStore"))
		return 0;
	made = rewrite_plain_copy(before, source->doc);
	if (!made)
		return -ENOMEM;
	xmlAddNextSibling(source, made);
	return 0;
}

void rewrite_remove_entry(xmlNode *entry)
{
	xmlNode *list = entry->parent;
	xmlNode *metadata = list->parent;
	bool was_empty;

	remove_node(entry);
	if (xmlChildElementCount(list))
		return;
	was_empty = xml_attribute_is(list, DOMAIN_WAS_EMPTY, WAS_EMPTY_VALUE);
	remove_node(list);
	if (!metadata->children && !was_empty)
		remove_node(metadata);
}

static int go_back(const struct rewrite_disk *disk)
{
	const xmlNode *before = xml_child(disk->entry, DOMAIN_BEFORE);
	xmlNode *driver = xml_child(disk->node, "driver");
	xmlNode *source;
	int ret;

	if (!driver)
		driver = xmlNewChild(disk->node, NULL, text_of("driver"), NULL);
	ret = driver ? restore_driver(driver, xml_child(before, "driver")) :
		       -ENOMEM;
	if (ret)
		return ret;
	source = restore_source(disk, xml_child(before, "source"));
	if (!source)
		return -ENOMEM;
	ret = restore_backing(source, xml_child(before, "backingStore"));
	if (!ret)
		ret = set(disk->node, "type",
			  was_volume(xml_child(before, "source")) ? "volume" :
								    "file");
	if (!ret)
		rewrite_remove_entry(disk->entry);
	return ret;
}

int rewrite_do(struct rewrite *rewrite)
{
	struct rewrite_disk *disk;
	int ret = 0;

	for (disk = rewrite->disks;
	     disk < rewrite->disks + rewrite->nr_disks && !ret; disk++) {
		if (!disk->chosen)
			continue;
		ret = rewrite->way == REWRITE_FORTH ? go_forth(rewrite, disk) :
						      go_back(disk);
	}
	return ret;
}
