// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The name of a disk is a file name in /dev without surprises, and no number,
 * since DEV takes a number for an id.
 */
#include <string.h>

#include "plugin/common/name.h"

static bool allowed(char c)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
	       (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-';
}

static bool is_number(const char *name)
{
	return name[strspn(name, "0123456789")] == '\0';
}

const char *name_check(const char *name)
{
	const char *c;

	if (!*name || strlen(name) > DISK_NAME_MAX)
		return "a name has 1 to 64 characters";
	if (*name == '.')
		return "a name does not begin with a dot";
	for (c = name; *c; c++)
		if (!allowed(*c))
			return "a name consists of A-Z a-z 0-9 . _ -";
	if (is_number(name))
		return "a name that is a number would be taken for an id";
	return NULL;
}

void name_make(const char *text, size_t length, char name[DISK_NAME_MAX + 1])
{
	size_t i;

	if (length > DISK_NAME_MAX - 5)
		length = DISK_NAME_MAX - 5;
	for (i = 0; i < length; i++)
		name[i] = allowed(text[i]) ? text[i] : '_';
	name[length] = '\0';
	/* - would be taken for an option. */
	if (*name == '.' || *name == '-')
		*name = '_';
	if (is_number(name)) {
		memmove(name + 5, name, length + 1);
		memcpy(name, "disk-", 5);
	}
}
