// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The kernel shows a title as the process's command line, also a title that is
 * longer than the arguments were.  The environment stays as it was.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "plugin/common/title.h"
#include "tests/lib/helpers.h"

static void shows(const char *title)
{
	char text[4096] = "";
	FILE *file = fopen("/proc/self/cmdline", "re");

	if (!file || !fgets(text, sizeof(text), file))
		die("cannot read the command line");
	fclose(file);
	if (strcmp(text, title))
		die("'%s' and not '%s'", text, title);
}

int main(int argc, char **argv)
{
	if (argc == 1) {
		setenv("TITLE_TEST", "stays", 1);
		execl("/proc/self/exe", "t", "x", NULL);
		die("cannot run itself");
	}
	title_begin(argc, argv);
	title_set("server", "web");
	shows("ublk-qcow2: server web");
	title_set("supervisor", "a-name-that-is-longer-than-the-arguments");
	shows("ublk-qcow2: supervisor "
	      "a-name-that-is-longer-than-the-arguments");
	title_set("server", "b");
	shows("ublk-qcow2: server b");
	if (!getenv("TITLE_TEST") || strcmp(getenv("TITLE_TEST"), "stays"))
		die("the environment is damaged");
	return 0;
}
