// SPDX-License-Identifier: GPL-2.0-or-later
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/hook/domains.h"
#include "tests/hook/fake.h"
#include "tests/lib/helpers.h"

void fake_begin(void)
{
	char *fake = scratch_path("fake");
	char program[512];

	snprintf(program, sizeof(program), "%s/hook/fake-ublk-qcow2",
		 getenv("srcdir") ?: ".");
	must_run("mkdir %s && : >%s/calls && mkdir %s/run", fake, fake,
		 scratch());
	setenv("FAKE", fake, 1);
	setenv("UBLK_QCOW2", program, 1);
	free(fake);
}

void fake_end(void)
{
	run("xargs -r kill -9 <%s/fake/idle 2>/dev/null", scratch());
}

void fake_called(const char *expected)
{
	char *path = scratch_path("fake/calls");
	char *calls = replaced(take(path), "\n", ";");

	if (strcmp(calls, expected) != 0)
		die("calls are '%s' and not '%s'", calls, expected);
	write_file(path, "", 0);
	free(calls);
	free(path);
}
