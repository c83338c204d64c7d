// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * An executable of hooks.d: its output is in the log under its name.  Its score
 * for the kernel's out-of-memory killer is that of any program.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "plugin/supervisor/execute.h"
#include "tests/lib/helpers.h"

static char said[65536];

static void run_script(const char *script)
{
	char path[] = "/tmp/hook-output.XXXXXX";
	int fd = mkstemp(path);
	int saved = dup(STDERR_FILENO);
	FILE *log = tmpfile();
	size_t length;

	if (fd < 0 || !log || fchmod(fd, 0700))
		die("no files");
	dprintf(fd, "#!/bin/sh\n%s\n", script);
	close(fd);
	dup2(fileno(log), STDERR_FILENO);
	execute(path, "the-name", "crashed", "/dev/ublkb7");
	dup2(saved, STDERR_FILENO);
	close(saved);
	unlink(path);
	rewind(log);
	length = fread(said, 1, sizeof(said) - 1, log);
	said[length] = '\0';
	fclose(log);
}

static void expect(const char *line)
{
	if (!strstr(said, line))
		die("does not say '%s' but: %s", line, said);
}

/* The score is inherited, unless it is set. */
static void become_a_victim(void)
{
	FILE *file = fopen("/proc/self/oom_score_adj", "w");

	if (!file || fputs("500", file) < 0 || fclose(file))
		die("no score");
}

int main(void)
{
	become_a_victim();
	run_script("echo $1 of $2; echo wrong >&2; exit 3");
	expect("ublk-qcow2: hook the-name: crashed of /dev/ublkb7\n");
	expect("ublk-qcow2: hook the-name: wrong\n");
	expect("failed with status 3");

	run_script("nice; cat /proc/self/oom_score_adj");
	expect("hook the-name: 0\nublk-qcow2: hook the-name: 0\n");

	run_script(
		"i=0; while [ $i -lt 500 ]; do echo line$i; i=$((i + 1)); done");
	expect("hook the-name: line49\n");
	expect("says more than 50 lines");
	if (strstr(said, "line50\n"))
		die("there is no limit");

	/* A process that stays behind does not hold up the caller. */
	run_script("sleep 5 & echo done");
	expect("hook the-name: done\n");
	return 0;
}
