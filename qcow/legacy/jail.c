// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The jail of the processes that run libqcow on a stranger's image.  Should
 * the image take the reader over, the reader can read that image, allocate
 * some memory, send wrong data to its server, and die.
 *
 * The library opens the image by itself, by a name, and reads the header at
 * once.  So the process opens the image without privilege, too, but for the one
 * to read others' files, and Landlock lets the process open only the image.
 * After the opening the process has no privilege at all.  (The library could
 * take a file that is open, by libbfio, which some distributions build into it
 * and others do not.)
 *
 * The filter of system calls is made by hand, so it needs no library: a list
 * of the calls that reading a file and malloc() need, and mmap() and mprotect()
 * without PROT_EXEC; anything else kills.  While the library opens the image
 * there are those of an open and of the steps of this jail besides, and any
 * other fails.  It is built for the machines that are listed here, and not with
 * sanitizers, which have system calls of their own.
 */
#include <errno.h>
#include <linux/fs.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "qcow/bits.h"
#include "qcow/filter.h"
#include "qcow/jail.h"
#include "qcow/landlock.h"
#include "qcow/legacy/legacy.h"

/* L1, 64 L2 tables, 128 clusters and malloc()'s own needs. */
#define READER_MEMORY (128ull << 20)

#define READING \
	ALLOW(read), ALLOW(pread64), ALLOW(lseek), ALLOW(fstat), \
		ALLOW(recvfrom), ALLOW(sendto), ALLOW(brk), ALLOW(munmap), \
		ALLOW(mremap), ALLOW(madvise), ALLOW(futex), ALLOW(getrandom), \
		ALLOW(rt_sigreturn), ALLOW(exit), ALLOW(exit_group), \
		ALLOW_DATA(mmap), ALLOW_DATA(mprotect)

static struct sock_filter opening[] = {
	FILTER_BEGIN,
	ALLOW(openat),
	ALLOW(newfstatat),
	ALLOW(statx),
#ifdef __NR_open
	ALLOW(open),
	ALLOW(stat),
#endif
	ALLOW(fcntl),
	ALLOW(close),
	/* jail_close() */
	ALLOW(prlimit64),
	ALLOW(prctl),
	ALLOW(getppid),
	ALLOW(geteuid),
	ALLOW(getegid),
	ALLOW(setfsuid),
	ALLOW(setfsgid),
	ALLOW(capget),
	ALLOW(capset),
	ON_ARGUMENT(ioctl, 1, 1),
	OF(BLKGETSIZE64),
	RETURN(SECCOMP_RET_ERRNO | ENOSYS),
	READING,
	RETURN(SECCOMP_RET_ERRNO | ENOSYS),
};

static struct sock_filter reading[] = {
	FILTER_BEGIN,
	READING,
	RETURN(SECCOMP_RET_KILL_PROCESS),
};

static int filter_calls(struct sock_filter *filter, unsigned short count)
{
	struct sock_fprog program = { count, filter };

	if (!FILTER_ARCH)
		return 0;
	if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0)
		return errno == EINVAL ? 0 : -errno; /* not in this kernel */
	return 0;
}

/* Nothing but reading the image. */
static int limit_names(int image)
{
	int rules;
	int ret = landlock_open(&rules);

	if (ret)
		return ret == -EOPNOTSUPP ? 0 : ret;
	ret = landlock_allow_fd(rules, image, LANDLOCK_READ);
	if (!ret)
		ret = landlock_restrict(rules);
	close(rules);
	return ret;
}

int jail_keeper(void)
{
	return jail_fall(JAIL_READS);
}

static int limit_memory(void)
{
	int size;
	int ret = jail_open_size(&size);

	if (ret)
		return ret;
	ret = jail_limit_memory(size, READER_MEMORY);
	close(size);
	return ret;
}

int jail_enter(int image, unsigned int max_files)
{
	int ret = limit_memory();

	if (!ret)
		ret = jail_limit(RLIMIT_NOFILE, max_files);
	if (!ret)
		ret = jail_limit(RLIMIT_FSIZE, 0);
	if (!ret)
		ret = jail_limit(RLIMIT_CORE, 0);
	if (!ret)
		ret = limit_names(image);
	return ret ? ret : filter_calls(opening, ARRAY_SIZE(opening));
}

int jail_close(void)
{
	int ret = jail_limit(RLIMIT_NOFILE, 0);

	if (!ret)
		ret = jail_end_files();
	return ret ? ret : filter_calls(reading, ARRAY_SIZE(reading));
}
