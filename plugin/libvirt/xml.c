// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Small things to do with XML.
 *
 * libxml2 reads a text without network, entities or external subsets: a
 * domain's XML has none, and one with a DOCTYPE is refused.  Blanks between
 * elements are left out, as libvirt leaves them out, so that the XML can be
 * indented anew when it is written again.
 */
#include <libxml/parser.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "plugin/libvirt/domain.h"
#include "plugin/libvirt/xml.h"

static char complaint[256];

static void note_complaint(const char *text, int line)
{
	if (line > 0)
		snprintf(complaint, sizeof(complaint), "line %d: %s", line,
			 text);
	else
		snprintf(complaint, sizeof(complaint), "%s", text);
	complaint[strcspn(complaint, "\n")] = '\0';
}

static void note_error(const xmlError *error)
{
	if (error && error->message)
		note_complaint(error->message, error->line);
	else
		note_complaint("out of memory", 0);
}

const char *xml_complaint(void)
{
	return complaint;
}

xmlDoc *xml_read(const char *text, size_t length)
{
	xmlDoc *document;

	if (length > INT_MAX || !length) {
		note_complaint(length ? "it is too long" : "it is empty", 0);
		return NULL;
	}
	document = xmlReadMemory(text, length, NULL, NULL,
				 XML_PARSE_NONET | XML_PARSE_NOERROR |
					 XML_PARSE_NOWARNING |
					 XML_PARSE_NOBLANKS);
	if (!document) {
		note_error(xmlGetLastError());
		return NULL;
	}
	if (!document->intSubset)
		return document;
	note_complaint("it has a DOCTYPE", 0);
	xmlFreeDoc(document);
	return NULL;
}

bool xml_is(const xmlNode *node, const char *name)
{
	return node->type == XML_ELEMENT_NODE &&
	       !strcmp((const char *)node->name, name);
}

bool xml_in_ours(const xmlNode *node)
{
	const size_t end = strlen(DOMAIN_NAMESPACE_END);
	const char *uri;

	if (node->type != XML_ELEMENT_NODE || !node->ns)
		return false;
	uri = (const char *)node->ns->href;
	return uri && strlen(uri) >= end &&
	       !strcmp(uri + strlen(uri) - end, DOMAIN_NAMESPACE_END);
}

bool xml_is_ours(const xmlNode *node, const char *name)
{
	return xml_in_ours(node) && xml_is(node, name);
}

xmlNode *xml_child(const xmlNode *parent, const char *name)
{
	xmlNode *node;

	for (node = parent ? parent->children : NULL; node; node = node->next)
		if (xml_is(node, name))
			return node;
	return NULL;
}

char *xml_attribute(const xmlNode *node, const char *name)
{
	return node ? (char *)xmlGetProp(node, (const xmlChar *)name) : NULL;
}

char *xml_value(const xmlAttr *attribute)
{
	return (char *)xmlNodeGetContent((const xmlNode *)attribute);
}

char *xml_content(const xmlNode *node)
{
	return node ? (char *)xmlNodeGetContent(node) : NULL;
}

bool xml_attribute_is(const xmlNode *node, const char *name, const char *value)
{
	char *found = xml_attribute(node, name);
	bool is = found && !strcmp(found, value);

	xmlFree(found);
	return is;
}
