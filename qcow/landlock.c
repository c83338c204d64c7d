// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Landlock, by system calls: the C library has no functions for Landlock, and
 * the headers of old systems lack a part of the constants.
 *
 * Each version of the kernel's interface has all rights of the versions
 * before.  Rules handle every right that the kernel knows, so that a right is
 * refused unless a rule allows it.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "qcow/landlock.h"

/* The ruleset of the newest kernel; older kernels take the first part. */
struct ruleset {
	uint64_t files;
	uint64_t network;
	uint64_t scopes;
};

#define TRUNCATE (1ull << 14) /* since version 3 */
#define IOCTL	 (1ull << 15) /* of devices, since version 5 */

#define READ_RIGHTS \
	(LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR | IOCTL)
#define WRITE_RIGHTS \
	(READ_RIGHTS | LANDLOCK_ACCESS_FS_WRITE_FILE | TRUNCATE | \
	 LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_REMOVE_FILE)
#define EXECUTE_RIGHTS (READ_RIGHTS | LANDLOCK_ACCESS_FS_EXECUTE)
#define DIRECTORY_RIGHTS \
	(LANDLOCK_ACCESS_FS_READ_DIR | LANDLOCK_ACCESS_FS_MAKE_REG | \
	 LANDLOCK_ACCESS_FS_REMOVE_FILE)

/* The version of Landlock; 0: the kernel has none. */
static long version(void)
{
	long found = syscall(SYS_landlock_create_ruleset, NULL, 0,
			     LANDLOCK_CREATE_RULESET_VERSION);

	return found < 0 ? 0 : found;
}

static uint64_t bits(unsigned int count)
{
	return (1ull << count) - 1;
}

/* 13 kinds of rights at first, one more each up to version 3, and one in 5. */
static uint64_t file_rights(long known)
{
	return bits(known < 3 ? 12 + known : known < 5 ? 15 : 16);
}

int landlock_open(int *rules)
{
	const long known = version();
	const struct ruleset ruleset = {
		.files = file_rights(known),
		.network = known < 4 ? 0 : bits(2),
		.scopes = known < 6 ? 0 : bits(2),
	};
	size_t size = sizeof(ruleset);

	if (known < 1)
		return -EOPNOTSUPP;
	if (known < 6)
		size = offsetof(struct ruleset, scopes);
	if (known < 4)
		size = offsetof(struct ruleset, network);
	*rules = syscall(SYS_landlock_create_ruleset, &ruleset, size, 0);
	return *rules < 0 ? -errno : 0;
}

static const uint64_t rights[] = {
	[LANDLOCK_READ] = READ_RIGHTS,
	[LANDLOCK_EXECUTE] = EXECUTE_RIGHTS,
	[LANDLOCK_WRITE] = WRITE_RIGHTS,
};

int landlock_allow_fd(int rules, int fd, enum landlock_use use)
{
	struct landlock_path_beneath_attr rule = {
		.allowed_access = rights[use],
		.parent_fd = fd,
	};
	struct stat st;

	if (fstat(fd, &st))
		return -errno;
	if (!S_ISDIR(st.st_mode))
		rule.allowed_access &= ~DIRECTORY_RIGHTS;
	rule.allowed_access &= file_rights(version());
	return syscall(SYS_landlock_add_rule, rules, LANDLOCK_RULE_PATH_BENEATH,
		       &rule, 0) < 0 ?
		       -errno :
		       0;
}

int landlock_allow(int rules, const char *path, enum landlock_use use)
{
	int fd = open(path, O_PATH | O_CLOEXEC);
	int ret;

	if (fd < 0)
		return 0;
	ret = landlock_allow_fd(rules, fd, use);
	close(fd);
	return ret;
}

int landlock_restrict(int rules)
{
	return syscall(SYS_landlock_restrict_self, rules, 0) < 0 ? -errno : 0;
}
