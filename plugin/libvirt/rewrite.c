// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The disks of a domain that can be rewritten.
 *
 * A disk that was named and does not fit is an error.  If no disk was named,
 * the disks that do not fit are left out, each with its reason.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plugin/libvirt/rewrite.h"
#include "plugin/libvirt/xml.h"

/* --- reading ------------------------------------------------------------- */

/* Our entry whose attribute has that value, or NULL. */
static xmlNode *entry_with(const struct rewrite *rewrite, const char *attribute,
			   const char *value)
{
	xmlNode *list = rewrite_list(rewrite);
	xmlNode *node;

	for (node = list ? list->children : NULL; node; node = node->next)
		if (xml_is(node, "disk") &&
		    xml_attribute_is(node, attribute, value))
			return node;
	return NULL;
}

static bool is_ours(const struct rewrite_disk *disk)
{
	return disk->source && domain_is_ours(disk->source) &&
	       xml_attribute_is(disk->node, "type", "block");
}

static void read_disk(const struct rewrite *rewrite, xmlNode *node,
		      struct rewrite_disk *disk)
{
	xmlNode *source = xml_child(node, "source");
	const bool block = xml_attribute_is(node, "type", "block");

	*disk = (struct rewrite_disk){ .node = node };
	disk->target = xml_attribute(xml_child(node, "target"), "dev");
	disk->source = xml_attribute(source, block ? "dev" : "file");
	if (is_ours(disk))
		disk->entry = entry_with(rewrite, "dev", disk->source);
	if (disk->entry)
		disk->file = xml_attribute(disk->entry, "file");
	else if (!block)
		disk->file = xml_attribute(source, "file");
	if (!xml_attribute_is(node, "type", "volume"))
		return;
	disk->pool = xml_attribute(source, "pool");
	disk->volume = xml_attribute(source, "volume");
}

int rewrite_set_file(struct rewrite_disk *disk, const char *path)
{
	char *copy = (char *)xmlStrdup((const xmlChar *)path);

	if (!copy)
		return -ENOMEM;
	xmlFree(disk->file);
	disk->file = copy;
	return 0;
}

int rewrite_read(const char *xml, enum rewrite_way way, struct rewrite *rewrite,
		 char why[DOMAIN_REASON_MAX])
{
	xmlNode *root, *devices, *node;

	*rewrite = (struct rewrite){ .way = way };
	rewrite->document = xml_read(xml, strlen(xml));
	if (!rewrite->document)
		return domain_wrong(why, "the XML cannot be parsed: %s",
				    xml_complaint());
	root = xmlDocGetRootElement(rewrite->document);
	rewrite->domain = xml_content(xml_child(root, "name"));
	if (!xml_is(root, "domain") || !rewrite->domain)
		return domain_wrong(why, "this is not the XML of a domain");
	devices = xml_child(root, "devices");
	if (!devices)
		return 0;
	rewrite->disks = calloc(xmlChildElementCount(devices),
				sizeof(*rewrite->disks));
	if (!rewrite->disks)
		return -ENOMEM;
	for (node = devices->children; node; node = node->next) {
		if (!xml_is(node, "disk"))
			continue;
		read_disk(rewrite, node, &rewrite->disks[rewrite->nr_disks++]);
	}
	return 0;
}

void rewrite_free(struct rewrite *rewrite)
{
	size_t i;

	for (i = 0; i < rewrite->nr_disks; i++) {
		xmlFree(rewrite->disks[i].target);
		xmlFree(rewrite->disks[i].source);
		xmlFree(rewrite->disks[i].file);
		xmlFree(rewrite->disks[i].pool);
		xmlFree(rewrite->disks[i].volume);
	}
	free(rewrite->disks);
	xmlFree(rewrite->domain);
	xmlFreeDoc(rewrite->document);
	*rewrite = (struct rewrite){ 0 };
}

char *rewrite_text(const struct rewrite *rewrite)
{
	xmlChar *text = NULL;
	char *copy;
	int length;

	xmlDocDumpFormatMemoryEnc(rewrite->document, &text, &length, "UTF-8",
				  1);
	copy = text ? strdup((char *)text) : NULL;
	xmlFree(text);
	return copy;
}

/* --- choosing ------------------------------------------------------------ */

static int __attribute__((format(printf, 2, 3)))
unfit(struct rewrite_disk *disk, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(disk->reason, sizeof(disk->reason), format, args);
	va_end(args);
	return -EINVAL;
}

/* Has the attribute that value, or is it missing? */
static bool is_or_not_said(const xmlNode *node, const char *name,
			   const char *value)
{
	char *found = xml_attribute(node, name);
	bool is = !found || !strcmp(found, value);

	xmlFree(found);
	return is;
}

/* Can the file be the image of a disk of ours? */
static int judge_file(struct rewrite_disk *disk)
{
	const xmlNode *source = xml_child(disk->node, "source");

	if (!xml_attribute_is(xml_child(disk->node, "driver"), "type", "qcow2"))
		return unfit(disk, "its driver does not say type='qcow2'");
	if (xml_child(disk->node, "encryption") ||
	    xml_child(source, "encryption"))
		return unfit(disk, "it is encrypted, its key is a secret of "
				   "libvirt's");
	if (xml_child(disk->node, "shareable"))
		return unfit(disk, "it is shareable");
	if (xml_child(disk->node, "transient"))
		return unfit(disk, "it is transient");
	if (xml_child(source, "slices"))
		return unfit(disk, "it is a slice of its file");
	if (!is_or_not_said(source, "fdgroup", ""))
		return unfit(disk, "its file is passed as a descriptor");
	return 0;
}

static int judge_forth(struct rewrite_disk *disk)
{
	if (is_ours(disk))
		return unfit(disk, "it is a disk of ublk-qcow2 already");
	if (!is_or_not_said(disk->node, "device", "disk"))
		return unfit(disk, "it is a cdrom, floppy or lun");
	if (disk->volume && !disk->file)
		return unfit(disk, "its volume is not known to libvirt; see "
				   "'virsh vol-list'");
	if (!xml_attribute_is(disk->node, "type", "file") && !disk->volume)
		return unfit(disk, "it is not type='file' or type='volume'");
	if (!disk->file || *disk->file != '/')
		return unfit(disk, "its source is no absolute path");
	return judge_file(disk);
}

static int judge_back(struct rewrite_disk *disk)
{
	if (!is_ours(disk))
		return unfit(disk, "it is no disk of ublk-qcow2");
	if (!disk->entry)
		return unfit(disk, "<metadata> has no entry for it that would "
				   "name its image");
	if (!disk->file)
		return unfit(disk, "its entry in <metadata> names no file");
	return 0;
}

/* Is the path that of the disk's source, or of a layer under it? */
static bool has_source(const xmlNode *disk, const char *path)
{
	const xmlNode *node;

	for (node = disk->children; node; node = node->next)
		if ((xml_is(node, "source") &&
		     (xml_attribute_is(node, "file", path) ||
		      xml_attribute_is(node, "dev", path))) ||
		    has_source(node, path))
			return true;
	return false;
}

/* The hook takes no image that QEMU opens, too. */
static bool share_image(const struct rewrite *rewrite,
			const struct rewrite_disk *disk,
			const struct rewrite_disk *other)
{
	if (other->file && !strcmp(other->file, disk->file))
		return true;
	return rewrite->way == REWRITE_FORTH &&
	       has_source(other->node, disk->file);
}

static int judge(const struct rewrite *rewrite, struct rewrite_disk *disk)
{
	size_t i;
	int ret;

	if (!disk->target)
		return unfit(disk, "it has no target");
	ret = rewrite->way == REWRITE_FORTH ? judge_forth(disk) :
					      judge_back(disk);
	/* Of a disk that was taken out of the domain, say. */
	if (!ret && rewrite->way == REWRITE_FORTH &&
	    entry_with(rewrite, "file", disk->file))
		ret = unfit(disk, "another entry in <metadata> has its image; "
				  "remove that entry by 'virsh edit'");
	for (i = 0; i < rewrite->nr_disks && !ret; i++)
		if (&rewrite->disks[i] != disk &&
		    share_image(rewrite, disk, &rewrite->disks[i]))
			ret = unfit(disk, "disk %.64s has the same image",
				    rewrite->disks[i].target ?: "?");
	return ret;
}

static bool is_called(const struct rewrite_disk *disk, const char *name)
{
	return (disk->target && !strcmp(disk->target, name)) ||
	       (disk->source && !strcmp(disk->source, name)) ||
	       (disk->file && !strcmp(disk->file, name));
}

static int choose_one(struct rewrite *rewrite, const char *name,
		      char why[DOMAIN_REASON_MAX])
{
	struct rewrite_disk *disk;

	for (disk = rewrite->disks; disk < rewrite->disks + rewrite->nr_disks;
	     disk++) {
		if (!is_called(disk, name))
			continue;
		if (judge(rewrite, disk))
			return domain_wrong(why, "disk %s: %s", name,
					    disk->reason);
		disk->chosen = true;
		return 0;
	}
	return domain_wrong(why, "it has no disk '%s'; see 'virsh domblklist'",
			    name);
}

/* Says of each disk why it was not chosen. */
static int tell_all(const struct rewrite *rewrite, char why[DOMAIN_REASON_MAX])
{
	size_t i, length;

	domain_wrong(why, "it has no disk to %s",
		     rewrite->way == REWRITE_FORTH ? "convert" :
						     "convert back");
	for (i = 0; i < rewrite->nr_disks; i++) {
		length = strlen(why);
		snprintf(why + length, DOMAIN_REASON_MAX - length, "%s %s: %s",
			 i ? ";" : ":", rewrite->disks[i].target ?: "?",
			 rewrite->disks[i].reason);
	}
	return -EINVAL;
}

int rewrite_choose(struct rewrite *rewrite, const char *name,
		   char why[DOMAIN_REASON_MAX])
{
	bool any = false;
	size_t i;

	if (name)
		return choose_one(rewrite, name, why);
	for (i = 0; i < rewrite->nr_disks; i++) {
		struct rewrite_disk *disk = &rewrite->disks[i];

		disk->chosen = !judge(rewrite, disk);
		any |= disk->chosen;
	}
	return any ? 0 : tell_all(rewrite, why);
}
