// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The jail of `info` and `check`.
 *
 * Both read tables that a stranger may have made, as root (P6).  A server gives
 * up everything once its files are open; a command cannot, for it opens files
 * while it reads.  So it keeps
 *
 *	files		the image, the directories in which the admin lets it
 *			name files, our state, /proc and /sys; to read them, and
 *			to write to the image and our state if it repairs
 *	capabilities	those by which root reads everybody's files
 *
 * and loses the network, other processes, and the system calls by which a
 * process becomes more than it is.  The reader of a legacy image, a child, has
 * a jail of its own inside this one.
 */
#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <linux/capability.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include "plugin/commands/jail.h"
#include "qcow/landlock.h"
#include "plugin/common/state.h"
#include "qcow/bits.h"
#include "qcow/filter.h"

/* ---- files ---- */

static int allow_all(int rules, const char *const *directories)
{
	int ret = 0;

	for (; !ret && directories && *directories; directories++)
		ret = landlock_allow(rules, *directories, LANDLOCK_READ);
	return ret;
}

static int allow_references(int rules, const char *image,
			    const struct qcow_references *references)
{
	char path[PATH_MAX];
	int ret = 0;

	if (references->none)
		return 0;
	if (!references->not_beside) {
		snprintf(path, sizeof(path), "%s", image);
		ret = landlock_allow(rules, dirname(path), LANDLOCK_READ);
	}
	if (!ret && references->data_file)
		ret = landlock_allow(rules, references->data_file,
				     LANDLOCK_READ);
	if (!ret)
		ret = allow_all(rules, references->directories);
	return ret ? ret : allow_all(rules, references->data_directories);
}

static int allow_ours(int rules, bool repair)
{
	static const char *const always[] = { "/proc", "/sys", NULL };
	int ret = allow_all(rules, always);

	return ret ? ret :
		     landlock_allow(rules, state_dir(),
				    repair ? LANDLOCK_WRITE : LANDLOCK_READ);
}

static int limit_files(const char *image,
		       const struct qcow_references *references, bool repair)
{
	char path[PATH_MAX];
	int rules;
	int ret = landlock_open(&rules);

	if (ret)
		return ret == -EOPNOTSUPP ? 0 : ret;
	/* A name that leads nowhere: the opening will say so. */
	if (!realpath(image, path))
		snprintf(path, sizeof(path), "%s", image);
	ret = landlock_allow(rules, path,
			     repair ? LANDLOCK_WRITE : LANDLOCK_READ);
	if (!ret && references)
		ret = allow_references(rules, path, references);
	if (!ret)
		ret = allow_ours(rules, repair);
	if (!ret)
		ret = landlock_restrict(rules);
	close(rules);
	return ret;
}

/* ---- the rest ---- */

static int limit_capabilities(void)
{
	const uint32_t kept = CAP_TO_MASK(CAP_DAC_OVERRIDE) |
			      CAP_TO_MASK(CAP_DAC_READ_SEARCH);
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

#define FORBID(call) ON(__NR_##call, SECCOMP_RET_ERRNO | EPERM)

/* A list of what is forbidden: the libraries of a command call more than a
   server's. */
static int limit_calls(void)
{
	struct sock_filter filter[] = {
		FILTER_BEGIN,
		FORBID(socket),
		FORBID(execve),
		FORBID(execveat),
		FORBID(ptrace),
		FORBID(process_vm_readv),
		FORBID(process_vm_writev),
		FORBID(io_uring_setup),
		FORBID(bpf),
		FORBID(perf_event_open),
		FORBID(userfaultfd),
		FORBID(keyctl),
		FORBID(add_key),
		FORBID(request_key),
		FORBID(mount),
		FORBID(setns),
		FORBID(open_by_handle_at),
		RETURN(SECCOMP_RET_ALLOW),
	};
	const struct sock_fprog program = { ARRAY_SIZE(filter), filter };

	if (!FILTER_ARCH)
		return 0;
	if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0)
		return errno == EINVAL ? 0 : -errno; /* not in this kernel */
	return 0;
}

int jail_command(const char *image, const struct qcow_references *references,
		 bool repair)
{
	int ret;

	/* It is read from a file. */
	tzset();
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -errno;
	ret = limit_files(image, references, repair);
	if (!ret)
		ret = limit_capabilities();
	return ret ? ret : limit_calls();
}
