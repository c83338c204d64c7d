// SPDX-License-Identifier: GPL-2.0-or-later
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <unistd.h>

#include "qcow/filter.h"
#include "qcow/landlock.h"
#include "tests/lib/helpers.h"
#include "tests/lib/jailed.h"

static void expect(bool holds, const char *what)
{
	if (!holds)
		die("%s", what);
}

static bool opens(const char *path, int flags)
{
	int fd = open(path, flags);

	return fd >= 0 && !close(fd);
}

void expect_jail(pid_t tester, const char *path)
{
	int rules;

	expect(getpid() != tester, "the process itself opens it");
	expect(getuid() && getgid(), "root opens it");
	expect(kill(tester, 0) < 0, "the child may signal its parent");
	if (FILTER_ARCH)
		expect(socket(AF_UNIX, SOCK_STREAM, 0) < 0, "makes a socket");
	if (landlock_open(&rules))
		return;
	expect(!opens("/etc/passwd", O_RDONLY), "reads /etc/passwd");
	expect(!opens(path, O_RDWR), "writes to a file that it may read");
	close(rules);
}
