// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Our entries in a domain's <metadata>.
 *
 * libvirt passes <metadata> through as it is, so this file judges the entries,
 * attribute by attribute.  An unknown attribute is an error and not ignored: a
 * misspelt readonly='yes' would otherwise mean a writable disk.  So would a
 * <readonly/> in an entry, as libvirt's own <disk> has it; hence an entry holds
 * nothing, and its list holds entries alone, but for the notes that `convert`
 * makes for the way back (rewrite-disk.c).
 *
 * Some attributes have only one value that is possible today.  XML may say
 * them, so that it keeps its meaning when there are more values.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plugin/common/disk-number.h"
#include "plugin/libvirt/domain-inside.h"
#include "plugin/libvirt/xml.h"

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

/* Takes one of two words; yes is the second. */
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
		"references, %sconfined and soundkernel",
		name, disk_number_attributes());
}

static int take_other(const char *name, const char *value,
		      struct disk_options *options, char why[DOMAIN_REASON_MAX])
{
	const struct disk_number *number = disk_number_of_attribute(name);
	char allowed[DISK_NUMBER_TEXT_MAX];

	if (disk_number_take(number, value, options))
		return 0;
	disk_number_describe(number, allowed);
	return domain_wrong(why, "%s='%s' must be: %s", name, value, allowed);
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
	if (!strcmp(name, "soundkernel"))
		return take_choice(name, value, answers,
				   &entry->options.sound_kernel, why);
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
	if (disk_number_of_attribute(name))
		return take_other(name, value, &entry->options, why);
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

static bool is_comment(const xmlNode *node)
{
	return node->type == XML_COMMENT_NODE || node->type == XML_PI_NODE ||
	       xmlIsBlankNode(node);
}

static int check_nothing_in(const xmlNode *node, char why[DOMAIN_REASON_MAX])
{
	const xmlNode *child;

	for (child = node->children; child; child = child->next) {
		if (xml_is(child, DOMAIN_BEFORE))
			continue;
		if (child->type == XML_ELEMENT_NODE)
			return domain_wrong(why,
					    "it has <%s> in it; an entry has "
					    "attributes and nothing else",
					    (const char *)child->name);
		if (!is_comment(child))
			return domain_wrong(why,
					    "it has text in it; an entry has "
					    "attributes and nothing else");
	}
	return 0;
}

/* XML allows that if one of them has a prefix. */
static int check_once(const xmlNode *node, const xmlAttr *attr,
		      char why[DOMAIN_REASON_MAX])
{
	const xmlAttr *other;

	for (other = node->properties; other != attr; other = other->next)
		if (xmlStrEqual(other->name, attr->name))
			return domain_wrong(why,
					    "it has the attribute '%s' "
					    "twice",
					    (const char *)attr->name);
	return 0;
}

static int read_entry(const xmlNode *node, struct domain_entry *entry,
		      char why[DOMAIN_REASON_MAX])
{
	const xmlAttr *attr;
	int ret = check_nothing_in(node, why);

	*entry = (struct domain_entry){
		.id = -1,
		.options = DISK_OPTIONS_DEFAULT,
	};
	for (attr = node->properties; attr && !ret; attr = attr->next) {
		char *value = xml_value(attr);

		if (!value)
			return -ENOMEM;
		ret = check_once(node, attr, why);
		if (!ret)
			ret = take_attribute(entry, (const char *)attr->name,
					     value, why);
		xmlFree(value);
	}
	return ret ? ret : check_entry(entry, why);
}

/* The next entry of the domain, from an element of the list. */
static int add_entry(const xmlNode *node, struct domain *domain,
		     char why[DOMAIN_REASON_MAX])
{
	char reason[DOMAIN_REASON_MAX] = "";
	struct domain_entry *entry;
	int ret;

	if (domain->nr_entries == DOMAIN_DISKS_MAX)
		return domain_wrong(why,
				    "<metadata>: there are more than "
				    "%d entries of ublk-qcow2",
				    DOMAIN_DISKS_MAX);
	if (!xml_is(node, "disk"))
		return domain_wrong(why,
				    "<metadata>: <%s> is not a <disk> of "
				    "ublk-qcow2",
				    (const char *)node->name);
	entry = domain_one_more((void **)&domain->entries, &domain->nr_entries,
				sizeof(*entry));
	if (!entry)
		return -ENOMEM;
	ret = read_entry(node, entry, reason);
	if (ret != -EINVAL)
		return ret;
	return domain_wrong(why, "<metadata>: entry %zu of ublk-qcow2: %s",
			    domain->nr_entries, reason);
}

static int read_entries(const xmlNode *list, struct domain *domain,
			char why[DOMAIN_REASON_MAX])
{
	const xmlAttr *attr;
	const xmlNode *node;
	int ret = 0;

	for (attr = list->properties; attr; attr = attr->next)
		if (!xmlStrEqual(attr->name, (const xmlChar *)DOMAIN_WAS_EMPTY))
			return domain_wrong(why,
					    "<metadata>: <disks> of ublk-qcow2 "
					    "has the attribute '%s'; only the "
					    "entries in it have attributes",
					    (const char *)attr->name);
	for (node = list->children; node && !ret; node = node->next)
		if (node->type == XML_ELEMENT_NODE)
			ret = add_entry(node, domain, why);
		else if (!is_comment(node))
			ret = domain_wrong(why, "<metadata>: <disks> of "
						"ublk-qcow2 has text in it");
	return ret;
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
		else if (xml_in_ours(node))
			ret = domain_wrong(why,
					   "<metadata>: <%s> of ublk-qcow2 is "
					   "not in a <disks> of ublk-qcow2",
					   (const char *)node->name);
	return ret;
}
