// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A process's title is the text in the memory into which the kernel has put
 * the arguments.  The strings of the environment lie behind the arguments.  A
 * copy of the environment makes that memory room for the title, too: the
 * kernel reads on there if the last byte of the arguments is no zero.
 *
 * Without memory for the copy a title has the arguments' room only.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plugin/common/title.h"

extern char **environ;

static char *room;
static size_t size;

/* The end of the strings that lie one behind the other from here on. */
static char *end_of(char **strings, char *end)
{
	for (; *strings; strings++)
		if (*strings == end)
			end += strlen(end) + 1;
	return end;
}

/* NULL: no memory. */
static char **copy_environment(void)
{
	size_t i, nr = 0;
	char **copy;

	while (environ[nr])
		nr++;
	copy = calloc(nr + 1, sizeof(*copy));
	for (i = 0; copy && i < nr; i++) {
		copy[i] = strdup(environ[i]);
		if (!copy[i])
			return NULL;
	}
	return copy;
}

void title_begin(int argc, char **argv)
{
	char **copy = copy_environment();
	char *end;

	if (argc < 1)
		return;
	room = argv[0];
	end = end_of(argv, room);
	if (copy) {
		end = end_of(environ, end);
		environ = copy;
	}
	size = end - room;
}

void title_set(const char *role, const char *name)
{
	if (!size)
		return;
	memset(room, 0, size);
	snprintf(room, size, "ublk-qcow2: %s %s", role, name);
}
