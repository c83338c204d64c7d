// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The jail of the process that runs libqcow on a stranger's image.  Should
 * the image take it over, it can read that image, allocate some memory, send
 * wrong data to its server, and die.
 *
 * Resource limits hold everywhere.  Of files the image alone can be opened,
 * which the library does by itself, before the filter is there: it has read
 * the header by then, and we may be root.  So that is done without
 * capabilities but the one to read others' files, and the rest without any.
 *
 * The filter of system calls is made by hand, so it needs no library: a list
 * of the calls that reading a file and malloc() need, and mmap() and mprotect()
 * without PROT_EXEC; anything else kills.  It is built for the machines that
 * are listed here, and not with sanitizers, which have system calls of their
 * own.
 */
#include <errno.h>
#include <linux/capability.h>
#include <linux/landlock.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "qcow/bits.h"
#include "qcow/filter.h"
#include "qcow/legacy/legacy.h"

/* L1, 64 L2 tables, 128 clusters and what malloc() adds. */
#define READER_MEMORY (128ull << 20)

static int limit(int resource, rlim_t value)
{
	struct rlimit limits = { value, value };

	return setrlimit(resource, &limits) < 0 ? -errno : 0;
}

/* What was inherited counts, too: the limit is what comes on top. */
static int limit_memory(void)
{
	FILE *statm = fopen("/proc/self/statm", "re");
	unsigned long long pages = 0;
	int found;

	if (!statm)
		return -errno;
	found = fscanf(statm, "%llu", &pages);
	fclose(statm);
	if (found != 1)
		return -EIO;
	return limit(RLIMIT_AS, pages * sysconf(_SC_PAGESIZE) + READER_MEMORY);
}

static int filter_calls(void)
{
	static struct sock_filter filter[] = {
		FILTER_BEGIN,
		ALLOW(read),
		ALLOW(pread64),
		ALLOW(lseek),
		ALLOW(fstat),
		ALLOW(recvfrom),
		ALLOW(sendto),
		ALLOW(brk),
		ALLOW(munmap),
		ALLOW(mremap),
		ALLOW(madvise),
		ALLOW(futex),
		ALLOW(getrandom),
		ALLOW(rt_sigreturn),
		ALLOW(exit),
		ALLOW(exit_group),
		ALLOW_DATA(mmap),
		ALLOW_DATA(mprotect),
		RETURN(SECCOMP_RET_KILL_PROCESS),
	};
	struct sock_fprog program = { ARRAY_SIZE(filter), filter };

	if (!FILTER_ARCH)
		return 0;
	if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0)
		return errno == EINVAL ? 0 : -errno; /* not in this kernel */
	return 0;
}

/* No others.  Root without them is the owner of root's files. */
static int limit_capabilities(uint32_t kept)
{
	struct __user_cap_header_struct header = {
		.version = _LINUX_CAPABILITY_VERSION_3,
	};
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];

	if (syscall(SYS_capget, &header, data) < 0)
		return -errno;
	for (unsigned int i = 0; i < ARRAY_SIZE(data); i++) {
		data[i].permitted &= i ? 0 : kept;
		data[i].effective = data[i].permitted;
		data[i].inheritable = 0;
	}
	return syscall(SYS_capset, &header, data) < 0 ? -errno : 0;
}

/* All that can be done to files: 13 kinds of rights at first, to the third
   version one more each; 0 if the kernel knows none. */
static uint64_t file_rights(void)
{
	long version = syscall(SYS_landlock_create_ruleset, NULL, 0,
			       LANDLOCK_CREATE_RULESET_VERSION);

	return version < 1 ? 0 : (1ull << (12 + min_u64(version, 3))) - 1;
}

/* Nothing but reading the image. */
static int limit_names(int image)
{
	const struct landlock_ruleset_attr rules = {
		.handled_access_fs = file_rights(),
	};
	const struct landlock_path_beneath_attr rule = {
		.allowed_access = LANDLOCK_ACCESS_FS_READ_FILE,
		.parent_fd = image,
	};
	int fd, ret = 0;

	if (!rules.handled_access_fs)
		return 0;
	fd = syscall(SYS_landlock_create_ruleset, &rules, sizeof(rules), 0);
	if (fd < 0)
		return -errno;
	if (syscall(SYS_landlock_add_rule, fd, LANDLOCK_RULE_PATH_BENEATH,
		    &rule, 0) < 0 ||
	    syscall(SYS_landlock_restrict_self, fd, 0) < 0)
		ret = -errno;
	close(fd);
	return ret;
}

int jail_enter(int image, unsigned int max_files)
{
	int ret = limit_memory();

	if (!ret)
		ret = limit(RLIMIT_NOFILE, max_files);
	if (!ret)
		ret = limit(RLIMIT_FSIZE, 0);
	if (!ret)
		ret = limit(RLIMIT_CORE, 0);
	if (!ret && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		ret = -errno;
	/* The image may be somebody else's. */
	if (!ret)
		ret = limit_capabilities(CAP_TO_MASK(CAP_DAC_READ_SEARCH));
	return ret ? ret : limit_names(image);
}

int jail_close(void)
{
	int ret = limit(RLIMIT_NOFILE, 0);

	if (!ret)
		ret = limit_capabilities(0);
	return ret ? ret : filter_calls();
}
