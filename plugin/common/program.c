// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The programs that we run.  The environment does not choose a program for
 * root, so PATH is never asked.
 *
 * A program of ours is looked for beside the one that runs, and then where it
 * is installed: programs that were built together work together.  A program of
 * the system is looked for in the system's directories.
 */
#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "plugin/common/program.h"

int program_become(const char *name, char **argv)
{
	char self[PATH_MAX], path[2 * PATH_MAX];
	ssize_t length = readlink("/proc/self/exe", self, sizeof(self) - 1);

	if (length < 0)
		return -errno;
	self[length] = '\0';
	/* The kernel puts a word behind the name of a program that was
	   replaced meanwhile; the directory stays as it is. */
	snprintf(path, sizeof(path), "%.*s/%s",
		 (int)(strrchr(self, '/') - self), self, name);
	argv[0] = (char *)name;
	execv(path, argv);
	if (errno != ENOENT)
		return -errno;
	snprintf(path, sizeof(path), PKGLIBEXECDIR "/%s", name);
	execv(path, argv);
	return -errno;
}

const char *program_choice(const char *variable)
{
#ifdef TEST_PROGRAMS
	return getenv(variable);
#else
	(void)variable;
	return NULL;
#endif
}

static bool is_in(const char *directory, const char *name, char path[PATH_MAX])
{
	snprintf(path, PATH_MAX, "%s/%s", directory, name);
	return !access(path, X_OK);
}

int program_find(const char *name, char path[PATH_MAX])
{
	static const char *const directories[] = {
		"/usr/bin",
		"/bin",
		"/usr/sbin",
		"/sbin",
	};
	const char *chosen = program_choice("UBLK_QCOW2_BIN");
	size_t i;

	if (strchr(name, '/')) {
		snprintf(path, PATH_MAX, "%s", name);
		return 0;
	}
	if (chosen)
		return is_in(chosen, name, path) ? 0 : -ENOENT;
	for (i = 0; i < sizeof(directories) / sizeof(directories[0]); i++)
		if (is_in(directories[i], name, path))
			return 0;
	return -ENOENT;
}
