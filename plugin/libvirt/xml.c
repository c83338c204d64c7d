// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Small things to do with XML.
 *
 * libxml2 reads a text without network, entities or external subsets: a
 * domain's XML has none, and one with a DOCTYPE is refused.  Blanks between
 * elements are left out, as libvirt leaves them out, so that what is written
 * again can be indented anew.
 */
#include <libxml/parser.h>
#include <limits.h>
#include <string.h>

#include "plugin/libvirt/domain.h"
#include "plugin/libvirt/xml.h"

xmlDoc *xml_read(const char *text, size_t length)
{
	xmlDoc *document;

	if (length > INT_MAX)
		return NULL;
	document =
		xmlReadMemory(text, length, NULL, NULL,
			      XML_PARSE_NONET | XML_PARSE_NOERROR |
				      XML_PARSE_NOWARNING | XML_PARSE_NOBLANKS);
	if (!document || !document->intSubset)
		return document;
	xmlFreeDoc(document);
	return NULL;
}

bool xml_is(const xmlNode *node, const char *name)
{
	return node->type == XML_ELEMENT_NODE &&
	       !strcmp((const char *)node->name, name);
}

bool xml_is_ours(const xmlNode *node, const char *name)
{
	const char *uri = node->ns ? (const char *)node->ns->href : NULL;
	const size_t end = strlen(DOMAIN_NAMESPACE_END);

	return xml_is(node, name) && uri && strlen(uri) >= end &&
	       !strcmp(uri + strlen(uri) - end, DOMAIN_NAMESPACE_END);
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
