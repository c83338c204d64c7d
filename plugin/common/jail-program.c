// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The jail of a program that others have written, and that reads an image.
 *
 * The program is to find its libraries, so it keeps the host's mounts, and
 * Landlock allows the files that programs consist of.  No filter of system
 * calls is made: nobody but its makers knows which ones the program needs.
 *
 * The user stays: an own user would get no capability by executing, and could
 * not read the image.  Root gets those that the bounding set has, and without
 * new privileges none that this process has given up.
 */
#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "plugin/common/jail-inside.h"
#include "plugin/common/jail.h"
#include "qcow/jail.h"
#include "qcow/landlock.h"

static const char *const programs[] = {
	"/usr", "/bin", "/lib", "/lib64", "/nix", "/gnu", NULL,
};

static const char *const read_only[] = {
	"/dev/urandom", "/etc/ld.so.cache", "/etc/ssl", "/etc/gnutls", NULL,
};

static int allow_all(int rules, const char *const *paths, enum landlock_use use)
{
	int ret = 0;

	for (; !ret && *paths; paths++)
		ret = landlock_allow(rules, *paths, use);
	return ret;
}

/* A program that was installed elsewhere has its files beside it. */
static int allow_program(int rules, const char *program)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s", program);
	return landlock_allow(rules, dirname(path), LANDLOCK_EXECUTE);
}

static int allow(int rules, const struct jail_program *program)
{
	int ret = jail_allow_files(rules, &program->jail);

	if (!ret)
		ret = allow_all(rules, programs, LANDLOCK_EXECUTE);
	if (!ret)
		ret = allow_program(rules, program->path);
	if (!ret)
		ret = allow_all(rules, read_only, LANDLOCK_READ);
	if (!ret)
		ret = landlock_allow(rules, "/dev/null", LANDLOCK_WRITE);
	return ret ? ret : landlock_allow(rules, program->made, LANDLOCK_WRITE);
}

static int limit_bounding(uint32_t kept)
{
	for (int i = 0; prctl(PR_CAPBSET_READ, i, 0, 0, 0) >= 0; i++)
		if (!(i < 32 && kept & CAP_TO_MASK(i)) &&
		    prctl(PR_CAPBSET_DROP, i, 0, 0, 0) < 0 && errno != EPERM)
			return -errno;
	return 0;
}

static int fall(void)
{
	int ret = jail_limit(RLIMIT_CORE, 0);

	if (!ret && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		ret = -errno;
	if (!ret && unshare(CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS) < 0 &&
	    errno == ENOMEM)
		ret = -ENOMEM;
	if (!ret)
		ret = limit_bounding(JAIL_WRITES);
	return ret ? ret : jail_limit_capabilities(JAIL_WRITES);
}

int jail_enter_for_program(const struct jail_program *program)
{
	int rules = -1;
	int ret = landlock_open(&rules);

	if (ret == -EOPNOTSUPP) {
		rules = -1;
		ret = 0;
	} else if (!ret) {
		ret = allow(rules, program);
	}
	if (!ret)
		ret = fall();
	if (!ret && rules >= 0)
		ret = landlock_restrict(rules);
	if (rules >= 0)
		close(rules);
	return ret;
}
