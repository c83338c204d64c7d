// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The jail of a command: it reads the image and what lies beside it, writes to
 * the image only for a repair, and reaches nothing else.
 *
 * Each case is a child, for there is no way out.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "plugin/commands/jail.h"
#include "qcow/landlock.h"
#include "qcow/filter.h"
#include "tests/lib/helpers.h"

static char directory[] = "/tmp/jail.XXXXXX";
static char image[64], beside[64], elsewhere[64];

static void make(char path[64], const char *name)
{
	int fd;

	snprintf(path, 64, "%s/%s", directory, name);
	fd = open(path, O_WRONLY | O_CREAT, 0600);
	if (fd < 0 || close(fd))
		die("cannot make %s", path);
}

static bool opens(const char *path, int flags)
{
	int fd = open(path, flags);

	return fd >= 0 && !close(fd);
}

static void expect(bool holds, const char *what)
{
	if (!holds)
		die("%s", what);
}

static bool has_landlock(void)
{
	int rules;

	return !landlock_open(&rules) && !close(rules);
}

static void look_around(const struct qcow_references *references, bool repair)
{
	const bool landlock = has_landlock();

	expect(!jail_command(image, references, repair), "no jail");
	expect(opens(image, O_RDONLY), "the image cannot be read");
	expect(opens("/proc/self/status", O_RDONLY), "no /proc");
	if (landlock) {
		expect(opens(image, O_RDWR) == repair, "writing to the image");
		expect(opens(beside, O_RDONLY) == !!references,
		       "reading what lies beside it");
		expect(!opens(beside, O_RDWR), "writes beside it");
		expect(!opens(elsewhere, O_RDONLY), "reads elsewhere");
		expect(!opens("/etc/passwd", O_RDONLY), "reads /etc/passwd");
	}
	if (FILTER_ARCH) {
		expect(socket(AF_UNIX, SOCK_STREAM, 0) < 0, "makes a socket");
		expect(execl("/bin/true", "true", NULL) && errno == EPERM,
		       "executes");
	}
}

static void try(const struct qcow_references *references, bool repair)
{
	pid_t child = fork();
	int status;

	if (!child) {
		look_around(references, repair);
		_exit(0);
	}
	if (child < 0 || waitpid(child, &status, 0) != child || status)
		die("see above");
}

int main(void)
{
	const struct qcow_references all = { 0 };

	if (!mkdtemp(directory))
		die("no directory");
	snprintf(elsewhere, sizeof(elsewhere), "%s/below", directory);
	if (mkdir(elsewhere, 0700))
		die("no directory");
	make(image, "below/image");
	make(beside, "below/beside");
	make(elsewhere, "elsewhere");
	try(&all, false);
	try(NULL, false);
	try(NULL, true);
	unlink(image);
	unlink(beside);
	unlink(elsewhere);
	return 0;
}
