// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The jail of the processes that run libqcow on a stranger's image.  Should
 * the image take the reader over, the reader can read that image, allocate
 * some memory, send wrong data to its server, and die.
 *
 * The library opens the image by itself, and reads the header at once.  So the
 * process opens the image without privilege, too, but for the one to read
 * others' files, and Landlock lets the process open only the image.  After the
 * opening the process has no privilege at all.
 *
 * The filter of system calls is made by hand, so it needs no library: a list
 * of the calls that reading a file and malloc() need, and mmap() and mprotect()
 * without PROT_EXEC; anything else kills.  It is built for the machines that
 * are listed here, and not with sanitizers, which have system calls of their
 * own.
 */
#include <errno.h>
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
	return ret ? ret : limit_names(image);
}

int jail_close(void)
{
	int ret = jail_limit(RLIMIT_NOFILE, 0);

	if (!ret)
		ret = jail_end_files();
	return ret ? ret : filter_calls();
}
