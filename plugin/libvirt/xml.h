/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Small things to do with XML, on top of libxml2.
 */
#ifndef XML_H
#define XML_H

#include <libxml/tree.h>
#include <stdbool.h>
#include <stddef.h>

/* The reason why the last xml_read() failed: one line. */
const char *xml_complaint(void);

/* Reads a text, without blanks between elements; NULL: the text is no XML, or
   memory is short.  The caller frees it by xmlFreeDoc(). */
xmlDoc *xml_read(const char *text, size_t length);

/* Is this an element of that name, in any namespace? */
bool xml_is(const xmlNode *node, const char *name);

/* Is this an element in our namespace? */
bool xml_in_ours(const xmlNode *node);

/* Is this an element of that name in our namespace? */
bool xml_is_ours(const xmlNode *node, const char *name);

/* The first child element of that name, or NULL; parent may be NULL. */
xmlNode *xml_child(const xmlNode *parent, const char *name);

/* An attribute's value, an element's text: the caller xmlFree()s it; NULL:
   there is none, or no node. */
char *xml_attribute(const xmlNode *node, const char *name);
char *xml_value(const xmlAttr *attribute);
char *xml_content(const xmlNode *node);

bool xml_attribute_is(const xmlNode *node, const char *name, const char *value);

#endif /* XML_H */
