// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Reading a domain's XML.
 *
 * domain_parse() walks the tree once and copies the values that concern us, so
 * that the rest of the program sees plain strings.  The XML comes from
 * libvirt, which has judged it, but for our own entries (domain-entry.c).
 */
#include <errno.h>
#include <libxml/tree.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plugin/libvirt/domain-inside.h"
#include "plugin/libvirt/xml.h"
#include "plugin/common/text.h"

int domain_wrong(char why[DOMAIN_REASON_MAX], const char *format, ...)
{
	va_list args;

	va_start(args, format);
	text_format(why, DOMAIN_REASON_MAX, format, args);
	va_end(args);
	return -EINVAL;
}

/* --- paths --------------------------------------------------------------- */

static bool begins_with(const char *text, const char *start)
{
	return !strncmp(text, start, strlen(start));
}

bool domain_device_number(const char *path, long *number)
{
	const char *digits = path + strlen(DOMAIN_DEVICES);
	char *end;

	/* 007 would be another path than that of device 7. */
	if (!begins_with(path, DOMAIN_DEVICES) || *digits < '0' ||
	    *digits > '9' || (*digits == '0' && digits[1]))
		return false;
	errno = 0;
	*number = strtol(digits, &end, 10);
	return !*end && !errno;
}

const char *domain_link_name(const char *path)
{
	const char *name = path + strlen(DOMAIN_LINKS);

	if (!begins_with(path, DOMAIN_LINKS) || !*name || strchr(name, '/'))
		return NULL;
	return name;
}

bool domain_is_ours(const char *path)
{
	long number;

	return domain_link_name(path) || domain_device_number(path, &number);
}

int domain_take_text(const char *value, char **text)
{
	free(*text);
	*text = strdup(value);
	return *text ? 0 : -ENOMEM;
}

/* The array doubles whenever it is full, which is at powers of two. */
void *domain_one_more(void **array, size_t *nr, size_t size)
{
	char *elements = *array;

	if (!(*nr & (*nr - 1))) {
		elements = realloc(*array, (*nr ? 2 * *nr : 1) * size);
		if (!elements)
			return NULL;
		*array = elements;
	}
	return memset(elements + (*nr)++ * size, 0, size);
}

/* --- the domain ---------------------------------------------------------- */

/* libxml2's strings need not be malloc's. */
static int keep(char *found, char **text)
{
	int ret = found ? domain_take_text(found, text) : 0;

	xmlFree(found);
	return ret;
}

/* layer is the <disk>, or an element in it that describes an image as a <disk>
   does. */
static int read_layer(const xmlNode *layer, const xmlNode *node,
		      struct domain_disk *disk)
{
	const xmlNode *driver = xml_child(layer, "driver");
	int ret;

	disk->inner = layer != node;
	disk->block = xml_attribute_is(layer, "type", "block");
	disk->shareable = xml_child(node, "shareable");
	ret = keep(xml_attribute(xml_child(layer, "source"),
				 disk->block ? "dev" : "file"),
		   &disk->source);
	if (!ret)
		ret = keep(xml_attribute(xml_child(node, "target"), "dev"),
			   &disk->target);
	if (!ret)
		ret = keep(xml_attribute(disk->inner ?
						 xml_child(layer, "format") :
						 driver,
					 "type"),
			   &disk->format);
	if (!ret)
		ret = keep(xml_attribute(driver, "cache"), &disk->cache);
	return ret;
}

static void free_disk(struct domain_disk *disk)
{
	free(disk->source);
	free(disk->target);
	free(disk->format);
	free(disk->cache);
}

static bool has_path(const xmlNode *layer)
{
	return (xml_attribute_is(layer, "type", "block") ||
		xml_attribute_is(layer, "type", "file")) &&
	       xml_child(layer, "source");
}

static int add_disk(const xmlNode *layer, const xmlNode *node, bool lower,
		    struct domain *domain, char why[DOMAIN_REASON_MAX])
{
	struct domain_disk *disk = domain_one_more(
		(void **)&domain->disks, &domain->nr_disks, sizeof(*disk));
	int ret = disk ? read_layer(layer, node, disk) : -ENOMEM;

	if (ret)
		return ret;
	disk->lower = lower;
	/* An empty drive has a source without a path. */
	if (!disk->source || !disk->target) {
		free_disk(disk);
		domain->nr_disks--;
	} else if (domain_is_ours(disk->source) &&
		   domain->nr_ours++ == DOMAIN_DISKS_MAX) {
		return domain_wrong(why,
				    "it has more than %d disks of ublk-qcow2",
				    DOMAIN_DISKS_MAX);
	}
	return 0;
}

/* Reads the image, and those in it: the backing chain, a copy that is being
   made, and the file with an image's data, which <source> has in it. */
static int read_layers(const xmlNode *layer, const xmlNode *node, bool lower,
		       struct domain *domain, char why[DOMAIN_REASON_MAX])
{
	const xmlNode *below = xml_child(layer, "backingStore");
	const xmlNode *const inner[] = {
		xml_child(layer, "mirror"),
		xml_child(xml_child(layer, "source"), "dataStore"),
	};
	int ret = 0;
	size_t i;

	if (has_path(layer))
		ret = add_disk(layer, node, lower, domain, why);
	if (below && !ret)
		ret = read_layers(below, node, true, domain, why);
	for (i = 0; i < sizeof(inner) / sizeof(inner[0]) && !ret; i++)
		if (inner[i])
			ret = read_layers(inner[i], node, lower, domain, why);
	return ret;
}

static int read_disks(const xmlNode *devices, struct domain *domain,
		      char why[DOMAIN_REASON_MAX])
{
	const xmlNode *node;
	int ret = 0;

	for (node = devices ? devices->children : NULL; node && !ret;
	     node = node->next)
		if (xml_is(node, "disk"))
			ret = read_layers(node, node, false, domain, why);
	return ret;
}

static int read_domain(const xmlNode *root, struct domain *domain,
		       char why[DOMAIN_REASON_MAX])
{
	int ret;

	if (!root || !xml_is(root, "domain"))
		return domain_wrong(why, "this is not the XML of a domain");
	ret = keep(xml_content(xml_child(root, "name")), &domain->name);
	if (!ret)
		ret = keep(xml_content(xml_child(root, "uuid")), &domain->uuid);
	if (!ret && (!domain->name || !domain->uuid))
		ret = domain_wrong(why, "the XML has no name or no uuid");
	/* The disks first: they are right even if our entries are wrong. */
	if (!ret)
		ret = read_disks(xml_child(root, "devices"), domain, why);
	if (!ret)
		ret = domain_read_metadata(xml_child(root, "metadata"), domain,
					   why);
	return ret;
}

int domain_parse(const char *xml, size_t length, struct domain *domain,
		 char why[DOMAIN_REASON_MAX])
{
	xmlDoc *document;
	int ret;

	*domain = (struct domain){ 0 };
	document = xml_read(xml, length);
	if (!document)
		return domain_wrong(why, "the XML cannot be parsed: %s",
				    xml_complaint());
	ret = read_domain(xmlDocGetRootElement(document), domain, why);
	xmlFreeDoc(document);
	return ret;
}

void domain_free(struct domain *domain)
{
	size_t i;

	for (i = 0; i < domain->nr_disks; i++)
		free_disk(&domain->disks[i]);
	for (i = 0; i < domain->nr_entries; i++) {
		free(domain->entries[i].dev);
		free(domain->entries[i].file);
	}
	free(domain->disks);
	free(domain->entries);
	free(domain->name);
	free(domain->uuid);
	*domain = (struct domain){ 0 };
}
