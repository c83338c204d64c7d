// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The difference between two texts, found by diff(1).
 *
 * A domain's definition holds passwords, hence diff(1) gets the texts in
 * memory that has no name, and not in files.
 */
#include <errno.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "plugin/libvirt/difference.h"

#define PATH_SIZE 32

extern char **environ;

/* The path by which a child that inherits the descriptor can open it. */
static int put_text(const char *text, char path[PATH_SIZE])
{
	const size_t length = strlen(text);
	int fd = memfd_create("ublk-qcow2", 0);

	if (fd < 0)
		return -errno;
	if (write(fd, text, length) != (ssize_t)length) {
		close(fd);
		return -ENOSPC;
	}
	snprintf(path, PATH_SIZE, "/proc/self/fd/%d", fd);
	return fd;
}

static int run(char *const argv[])
{
	int status, ret;
	pid_t pid;

	fflush(stdout);
	ret = -posix_spawnp(&pid, argv[0], NULL, NULL, argv, environ);
	if (ret)
		return ret;
	if (waitpid(pid, &status, 0) != pid)
		return -errno;
	return WIFEXITED(status) && WEXITSTATUS(status) <= 1 ? 0 : -EIO;
}

int difference_print(const char *old, const char *old_label, const char *new,
		     const char *new_label)
{
	char old_path[PATH_SIZE], new_path[PATH_SIZE];
	char *const argv[] = {
		"diff",	  "-u",
		"-L",	  (char *)old_label,
		"-L",	  (char *)new_label,
		old_path, new_path,
		NULL,
	};
	int old_fd = put_text(old, old_path);
	int new_fd = put_text(new, new_path);
	int ret = old_fd < 0 ? old_fd : new_fd < 0 ? new_fd : run(argv);

	if (old_fd >= 0)
		close(old_fd);
	if (new_fd >= 0)
		close(new_fd);
	if (ret != -ENOENT)
		return ret;
	fputs(new, stdout);
	return 0;
}
