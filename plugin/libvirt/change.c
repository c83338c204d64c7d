// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * An admin's command for a domain has the admin's command for a disk run, with
 * the same stdout and stderr: it says itself what it did, or why not.
 */
#include <errno.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "plugin/common/log.h"
#include "plugin/libvirt/change.h"
#include "plugin/libvirt/service.h"

#define ARGUMENTS_MAX 8

int change_run(const char *const *arguments)
{
	const char *argv[ARGUMENTS_MAX + 2] = { service_program() };
	int status = -1, ret;
	size_t i;
	pid_t pid;

	for (i = 0; i < ARGUMENTS_MAX && arguments[i]; i++)
		argv[i + 1] = arguments[i];
	ret = posix_spawn(&pid, argv[0], NULL, NULL, (char *const *)argv,
			  environ);
	if (ret)
		return complain("cannot run %s: %s", argv[0], strerror(ret));
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return WIFEXITED(status) ? WEXITSTATUS(status) : EXIT_FAILURE;
}
