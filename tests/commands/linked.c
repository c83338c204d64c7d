// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * `add` follows the names in an image's header to see whether a symbolic link
 * changes where they lead: in a child in a jail, for the header is a
 * stranger's.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "plugin/commands/add.h"
#include "qcow/inspect.h"
#include "tests/lib/helpers.h"
#include "tests/lib/jailed.h"

#define SKIPPED 77

static pid_t tester;
static char *image;
static int *looks; /* shared with the child */

int __wrap_qcow_check_links(const char *path,
			    const struct qcow_references *references,
			    struct qcow_error *error);
int __wrap_qcow_check_links(const char *path,
			    const struct qcow_references *references,
			    struct qcow_error *error)
{
	(void)path;
	(void)references;
	expect_jail(tester, image);
	++*looks;
	snprintf(error->text, sizeof(error->text), "a word of the engine's");
	return -1;
}

int main(void)
{
	struct disk_request request = {
		.id = -1,
		.options = DISK_OPTIONS_DEFAULT,
	};
	struct disk disk = { .id = 0 };
	char *link;

	if (geteuid())
		return SKIPPED;
	tester = getpid();
	looks = mmap(NULL, sizeof(*looks), PROT_READ | PROT_WRITE,
		     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	image = scratch_path("image.qcow2");
	link = scratch_path("link.qcow2");
	must_run("qemu-img create -q -f qcow2 %s 1M", image);
	must_run("ln -s image.qcow2 %s", link);
	request.image = link;
	if (add_judge(&request, &disk) != EXIT_FAILURE)
		die("the word of the child does not count");
	if (*looks != 1)
		die("the child has not looked");
	free(link);
	return 0;
}
