// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Our other programs.  They are looked for beside the one that runs, not in
 * PATH, so that what was built or installed together works together.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "plugin/program.h"

int program_become(const char *name, char **argv)
{
	char self[PATH_MAX], path[2 * PATH_MAX];
	ssize_t length = readlink("/proc/self/exe", self, sizeof(self) - 1);

	if (length < 0)
		return -errno;
	self[length] = '\0';
	/* The name of a program that was replaced meanwhile has something
	   behind it; the directory has not. */
	snprintf(path, sizeof(path), "%.*s/%s",
		 (int)(strrchr(self, '/') - self), self, name);
	argv[0] = (char *)name;
	execv(path, argv);
	return -errno;
}
