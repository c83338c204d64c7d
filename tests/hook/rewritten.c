// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Rewritten domains, and checks of the result.  XML is compared in its
 * canonical form, and looked into by XPath.
 */
#include <libxml/c14n.h>
#include <libxml/parser.h>
#include <libxml/xpath.h>
#include <libxml/xpathInternals.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/lib/helpers.h"
#include "tests/hook/rewritten.h"
#include "plugin/libvirt/xml.h"

char *load(const char *name)
{
	const char *srcdir = getenv("srcdir");
	char path[256];
	char *text;
	size_t size;

	snprintf(path, sizeof(path), "%s/hook/xml/%s.xml", srcdir ?: ".", name);
	text = (char *)read_file(path, &size);
	if (!text)
		die("cannot read %s", path);
	text[size] = '\0';
	return text;
}

/* Comparable whatever the order of attributes and the quotes. */
static char *canonical(const char *text)
{
	xmlDoc *document = xml_read(text, strlen(text));
	xmlChar *result = NULL;
	char *copy;

	if (!document ||
	    xmlC14NDocDumpMemory(document, NULL, 0, NULL, 1, &result) < 0)
		die("not XML: %s", text);
	copy = strdup((char *)result);
	xmlFree(result);
	xmlFreeDoc(document);
	return copy;
}

char *find(const char *text, const char *path)
{
	xmlDoc *document = xml_read(text, strlen(text));
	xmlXPathContext *context = xmlXPathNewContext(document);
	xmlXPathObject *object;
	char *copy;

	xmlXPathRegisterNs(context, (const xmlChar *)"u",
			   (const xmlChar *)DOMAIN_NAMESPACE);
	object = xmlXPathEvalExpression((const xmlChar *)path, context);
	if (!object)
		die("cannot evaluate %s", path);
	copy = (char *)xmlXPathCastToString(object);
	xmlXPathFreeObject(object);
	xmlXPathFreeContext(context);
	xmlFreeDoc(document);
	return copy;
}

void expect(const char *text, const char *path, const char *value)
{
	char *found = find(text, path);

	if (strcmp(found, value) != 0)
		die("%s is '%s' and not '%s' in\n%s", path, found, value, text);
	xmlFree(found);
}

char *rewritten(const char *text, enum rewrite_way way, const char *disk,
		char why[DOMAIN_REASON_MAX])
{
	struct rewrite rewrite;
	char *result = NULL;
	int ret = rewrite_read(text, way, &rewrite, why);
	size_t i;

	if (!ret)
		ret = rewrite_choose(&rewrite, disk, why);
	for (i = 0; i < rewrite.nr_disks && !ret; i++)
		snprintf(rewrite.disks[i].name, sizeof(rewrite.disks[i].name),
			 "name-%s", rewrite.disks[i].target);
	if (!ret) {
		if (rewrite_do(&rewrite))
			die("out of memory");
		result = rewrite_text(&rewrite);
	}
	rewrite_free(&rewrite);
	return result;
}

char *must(const char *text, enum rewrite_way way, const char *disk)
{
	char why[DOMAIN_REASON_MAX];
	char *result = rewritten(text, way, disk, why);

	if (!result)
		die("refused: %s", why);
	return result;
}

void refused(const char *text, enum rewrite_way way, const char *disk,
	     const char *reason)
{
	char why[DOMAIN_REASON_MAX] = "";

	if (rewritten(text, way, disk, why))
		die("was not refused: %s", reason);
	if (!strstr(why, reason))
		die("refused for '%s' and not '%s'", why, reason);
}

void fits_hook(const char *text)
{
	char why[DOMAIN_REASON_MAX];
	struct domain domain;

	if (domain_parse(text, strlen(text), &domain, why) ||
	    domain_check(&domain, why))
		die("the hook refuses it: %s\n%s", why, text);
	domain_free(&domain);
}

void same(const char *a, const char *b)
{
	char *canonical_a = canonical(a);
	char *canonical_b = canonical(b);

	if (strcmp(canonical_a, canonical_b) != 0)
		die("not as before:\n%s\n%s", canonical_a, canonical_b);
	free(canonical_a);
	free(canonical_b);
}
