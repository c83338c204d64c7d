// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Reading a domain's XML.
 *
 * The tree is walked once and what concerns us is copied out of it, so that
 * the rest of the program sees plain strings.
 *
 * The XML comes from libvirt, which has judged it; libvirt passes <metadata>
 * through as it is, hence our own entries are judged here, attribute by
 * attribute.  One that we do not know is an error rather than ignored: a
 * misspelt readonly='yes' would otherwise mean a writable disk.
 *
 * Some attributes have only one value that is possible today.  They may be
 * said, so that XML which says them keeps its meaning.
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

/* --- our entries --------------------------------------------------------- */

static int take_number(const char *name, const char *value, long *number,
		       char why[DOMAIN_REASON_MAX])
{
	char *end;

	errno = 0;
	*number = strtol(value, &end, 10);
	if (*value < '0' || *value > '9' || *end || errno)
		return domain_wrong(why, "%s='%s' is not a number", name,
				    value);
	return 0;
}

static int take_count(const char *name, const char *value, unsigned int *count,
		      char why[DOMAIN_REASON_MAX])
{
	long number;
	int ret = take_number(name, value, &number, why);

	if (!ret && number > UINT_MAX)
		return domain_wrong(why, "%s='%s' is too large", name, value);
	*count = number;
	return ret;
}

static int take_path(const char *name, const char *value, char path[PATH_MAX],
		     char why[DOMAIN_REASON_MAX])
{
	if (*value == '/' && snprintf(path, PATH_MAX, "%s", value) < PATH_MAX)
		return 0;
	return domain_wrong(why, "%s='%s' must be an absolute path", name,
			    value);
}

/* One of two words; yes is the second. */
static int take_choice(const char *name, const char *value,
		       const char *const words[2], bool *yes,
		       char why[DOMAIN_REASON_MAX])
{
	*yes = !strcmp(value, words[1]);
	if (*yes || !strcmp(value, words[0]))
		return 0;
	return domain_wrong(why, "%s='%s' must be '%s' or '%s'", name, value,
			    words[0], words[1]);
}

int domain_take_text(const char *value, char **text)
{
	free(*text);
	*text = strdup(value);
	return *text ? 0 : -ENOMEM;
}

static const struct {
	const char *name;
	const char *value;
} fixed[] = {
	{ "recovery", "reissue" },
	{ "onfail", "queue" },
	{ "deadline", "0" },
	{ "discard", "unmap" },
};

static int take_fixed(const char *name, const char *value,
		      char why[DOMAIN_REASON_MAX])
{
	size_t i;

	for (i = 0; i < sizeof(fixed) / sizeof(fixed[0]); i++) {
		if (strcmp(name, fixed[i].name))
			continue;
		if (!strcmp(value, fixed[i].value))
			return 0;
		return domain_wrong(why, "%s='%s' must be '%s'", name, value,
				    fixed[i].value);
	}
	return domain_wrong(
		why,
		"there is no attribute '%s'; there are dev, file, id, "
		"queues, depth, readonly, cache, keyfile, datafile, "
		"references and confined",
		name);
}

static int take_attribute(struct domain_entry *entry, const char *name,
			  const char *value, char why[DOMAIN_REASON_MAX])
{
	static const char *const answers[] = { "no", "yes" };
	static const char *const caches[] = { "none", "writeback" };
	static const char *const references[] = { "yes", "no" };

	if (!strcmp(name, "dev"))
		return domain_take_text(value, &entry->dev);
	if (!strcmp(name, "file"))
		return domain_take_text(value, &entry->file);
	if (!strcmp(name, "keyfile"))
		return take_path(name, value, entry->options.key_file, why);
	if (!strcmp(name, "datafile"))
		return take_path(name, value, entry->options.data_file, why);
	if (!strcmp(name, "references"))
		return take_choice(name, value, references,
				   &entry->options.no_references, why);
	if (!strcmp(name, "confined"))
		return take_choice(name, value, answers,
				   &entry->options.confined, why);
	if (!strcmp(name, "id"))
		return take_number(name, value, &entry->id, why);
	if (!strcmp(name, "queues"))
		return take_count(name, value, &entry->options.queues, why);
	if (!strcmp(name, "depth"))
		return take_count(name, value, &entry->options.depth, why);
	if (!strcmp(name, "readonly"))
		return take_choice(name, value, answers,
				   &entry->options.read_only, why);
	if (!strcmp(name, "cache"))
		return take_choice(name, value, caches,
				   &entry->options.writeback, why);
	return take_fixed(name, value, why);
}

static int check_entry(struct domain_entry *entry, char why[DOMAIN_REASON_MAX])
{
	long number;

	if (!entry->dev)
		return domain_wrong(why, "it has no dev");
	if (!domain_is_ours(entry->dev))
		return domain_wrong(why,
				    "dev='%s' must be " DOMAIN_LINKS
				    "NAME or " DOMAIN_DEVICES "N",
				    entry->dev);
	if (!entry->file || *entry->file != '/')
		return domain_wrong(
			why,
			"file must be the absolute path of the image of "
			"%s",
			entry->dev);
	if (!domain_device_number(entry->dev, &number))
		return 0;
	if (entry->id >= 0 && entry->id != number)
		return domain_wrong(why, "id='%ld' is not that of dev='%s'",
				    entry->id, entry->dev);
	entry->id = number;
	return 0;
}

static int read_entry(const xmlNode *node, struct domain_entry *entry,
		      char why[DOMAIN_REASON_MAX])
{
	const xmlAttr *attr;
	int ret = 0;

	*entry = (struct domain_entry){
		.id = -1,
		.options = DISK_OPTIONS_DEFAULT,
	};
	for (attr = node->properties; attr && !ret; attr = attr->next) {
		const char *name = (const char *)attr->name;
		char *value = xml_attribute(node, name);

		if (!value)
			return -ENOMEM;
		ret = take_attribute(entry, name, value, why);
		xmlFree(value);
	}
	return ret ? ret : check_entry(entry, why);
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

static int read_entries(const xmlNode *list, struct domain *domain,
			char why[DOMAIN_REASON_MAX])
{
	const xmlNode *node;

	for (node = list->children; node; node = node->next) {
		char reason[DOMAIN_REASON_MAX] = "";
		struct domain_entry *entry;
		int ret;

		if (node->type != XML_ELEMENT_NODE)
			continue;
		if (domain->nr_entries == DOMAIN_DISKS_MAX)
			return domain_wrong(why,
					    "<metadata>: there are more than "
					    "%d entries of ublk-qcow2",
					    DOMAIN_DISKS_MAX);
		if (!xml_is(node, "disk"))
			return domain_wrong(
				why,
				"<metadata>: <%s> is not a <disk> of "
				"ublk-qcow2",
				(const char *)node->name);
		entry = domain_one_more((void **)&domain->entries,
					&domain->nr_entries, sizeof(*entry));
		if (!entry)
			return -ENOMEM;
		ret = read_entry(node, entry, reason);
		if (ret == -EINVAL)
			return domain_wrong(
				why,
				"<metadata>: entry %zu of ublk-qcow2: "
				"%s",
				domain->nr_entries, reason);
		if (ret)
			return ret;
	}
	return 0;
}

int domain_read_metadata(const xmlNode *metadata, struct domain *domain,
			 char why[DOMAIN_REASON_MAX])
{
	const xmlNode *node;
	int ret = 0;

	for (node = metadata ? metadata->children : NULL; node && !ret;
	     node = node->next)
		if (xml_is_ours(node, "disks"))
			ret = read_entries(node, domain, why);
	return ret;
}

/* --- the domain ---------------------------------------------------------- */

/* libxml2's strings need not be malloc's. */
static int keep(char *found, char **text)
{
	int ret = found ? domain_take_text(found, text) : 0;

	xmlFree(found);
	return ret;
}

/* layer is the <disk>, or what describes an image in it as a <disk> does. */
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

static int add_disk(const xmlNode *layer, const xmlNode *node,
		    struct domain *domain, char why[DOMAIN_REASON_MAX])
{
	struct domain_disk *disk = domain_one_more(
		(void **)&domain->disks, &domain->nr_disks, sizeof(*disk));
	int ret = disk ? read_layer(layer, node, disk) : -ENOMEM;

	if (ret)
		return ret;
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

/* The image, and those in it: the chain below, and a copy being made. */
static int read_layers(const xmlNode *layer, const xmlNode *node,
		       struct domain *domain, char why[DOMAIN_REASON_MAX])
{
	static const char *const inner[] = { "backingStore", "mirror" };
	int ret = has_path(layer) ? add_disk(layer, node, domain, why) : 0;
	size_t i;

	for (i = 0; i < sizeof(inner) / sizeof(inner[0]) && !ret; i++)
		if (xml_child(layer, inner[i]))
			ret = read_layers(xml_child(layer, inner[i]), node,
					  domain, why);
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
			ret = read_layers(node, node, domain, why);
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
	/* The disks first: they are as true if our entries are wrong. */
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
