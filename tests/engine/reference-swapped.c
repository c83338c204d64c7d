// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The owner of a directory puts another link in a link's place while an image's
 * names are judged (P6).  The path that is granted is that of the file that was
 * judged.
 */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "qcow/names.h"
#include "tests/lib/helpers.h"

static char *image, *data, *victim, *name;
static bool armed;

char *__real_realpath(const char *path, char *resolved);
char *__wrap_realpath(const char *path, char *resolved);
char *__wrap_realpath(const char *path, char *resolved)
{
	char *found = __real_realpath(path, resolved);

	if (armed && !strcmp(path, name)) {
		armed = false;
		if (unlink(name) || symlink(victim, name))
			die("no link");
	}
	return found;
}

int main(void)
{
	const struct qcow_options options = {
		.references = &(struct qcow_references){ .data_file = "data" },
	};
	char *path;

	if (chdir(scratch()))
		die("no directory");
	image = scratch_path("image");
	data = scratch_path("data");
	victim = scratch_path("victim");
	name = scratch_path("name");
	must_run("touch %s %s %s && ln -s %s %s", image, data, victim, data,
		 name);
	armed = true;
	if (qcow_resolve(&options, image, image, QCOW_REFERS_TO_DATA, "name",
			 &path, NULL))
		die("the data file is refused");
	if (armed)
		die("nobody followed the link");
	if (strcmp(path, data))
		die("%s is granted", path);
	free(path);
	free(image);
	free(data);
	free(victim);
	free(name);
	return 0;
}
