// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * /etc/ublk-qcow2/directories: one directory a line, as an absolute path;
 * empty lines and those that begin with # are comments.  Whatever lies below
 * one of them may be opened as a backing file by any image that names it.
 *
 * Read once, when the server opens its image; a server is one image for
 * life, so the list stays until the process ends.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "directories.h"

#define DIRECTORIES_FILE "/etc/ublk-qcow2/directories"

struct list {
	const char **entries;
	size_t count;
};

/* The environment is for tests. */
static const char *file_name(void)
{
	const char *name = getenv("UBLK_QCOW2_DIRECTORIES");

	return name ? name : DIRECTORIES_FILE;
}

/* Takes over the text; NULL ends the list. */
static int append(struct list *list, char *text)
{
	const char **entries;

	entries = reallocarray(list->entries, list->count + 1,
			       sizeof(*entries));
	if (!entries)
		return -ENOMEM;
	entries[list->count++] = text;
	list->entries = entries;
	return 0;
}

static int append_line(struct list *list, char *line)
{
	char *copy;

	line += strspn(line, " \t");
	line[strcspn(line, "\r\n")] = 0;
	if (line[0] != '/')
		return 0;
	copy = strdup(line);
	return copy ? append(list, copy) : -ENOMEM;
}

int directories_read(const char *const **result)
{
	static struct list list;
	FILE *file = fopen(file_name(), "re");
	char *line = NULL;
	size_t size = 0;
	int ret = 0;

	if (!file && errno != ENOENT)
		return -errno;
	while (file && !ret && getline(&line, &size, file) >= 0)
		ret = append_line(&list, line);
	free(line);
	if (file)
		fclose(file);
	if (!ret)
		ret = append(&list, NULL);
	*result = list.entries;
	return ret;
}
