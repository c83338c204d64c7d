// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The jail of a process that opens an image and is no server.
 *
 * The process reads tables that a stranger may have made, for root (P6).  It
 * opens files while it reads, by names that it reads.  As a server, it gives up
 * everything before, and has a clerk open the files, a child (jail-clerk.c).
 * The clerk reads no byte, and keeps
 *
 *	files		the image, the directories in which the admin lets the
 *			image name files, our state, /proc and /sys; to read
 *			them, and to write to the image and our state if that is
 *			the task
 *	capabilities	those by which root reads everybody's files
 *	calls		those that use names
 *
 * The process itself keeps no file but those that the clerk hands over, no
 * capability, and the calls that an open, a check and a close make.  Both lose
 * their user, the network, and all power over other processes.  They keep the
 * host's mounts, because a name in an image must lead to the same file as for
 * everybody else.  The reader of a legacy image, a child of the clerk's, has a
 * jail of its own inside this one (qcow/legacy/jail.c).
 */
#include <errno.h>
#include <ftw.h>
#include <libgen.h>
#include <limits.h>
#include <linux/fs.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "plugin/common/jail-inside.h"
#include "plugin/common/jail.h"
#include "plugin/common/state.h"
#include "qcow/bits.h"
#include "qcow/filter.h"
#include "qcow/jail.h"
#include "qcow/landlock.h"

#define DEVICES "/dev/"
#define DEPTH	8

/* ---- files ---- */

static bool is_device(const char *path)
{
	struct stat st;

	return !stat(path, &st) && S_ISBLK(st.st_mode);
}

static int allow_all(int rules, const char *const *directories,
		     enum landlock_use use)
{
	int ret = 0;

	for (; !ret && directories && *directories; directories++)
		ret = landlock_allow(rules, *directories, use);
	return ret;
}

static int device_rules;

static int allow_device(const char *path, const struct stat *st, int type,
			struct FTW *ftw)
{
	(void)st;
	(void)ftw;
	/* A device without a rule is refused at its open. */
	if (type == FTW_SL && is_device(path))
		landlock_allow(device_rules, path, LANDLOCK_READ);
	return 0;
}

/* The admin names the directory of a link to a device, as /dev/VG/LV.  A rule
   for that directory does not reach the device, which needs a rule of its
   own. */
static void allow_devices(int rules, const char *const *directories)
{
	device_rules = rules;
	for (; directories && *directories; directories++)
		if (!strncmp(*directories, DEVICES, strlen(DEVICES)))
			nftw(*directories, allow_device, DEPTH, FTW_PHYS);
}

static int allow_references(int rules, const char *image,
			    const struct qcow_references *references,
			    enum landlock_use use)
{
	char path[PATH_MAX];
	int ret = 0;

	if (!references || references->none)
		return 0;
	if (!references->not_beside) {
		snprintf(path, sizeof(path), "%s", image);
		ret = landlock_allow(rules, dirname(path), LANDLOCK_READ);
	}
	if (!ret && references->data_file)
		ret = landlock_allow(rules, references->data_file, use);
	if (!ret)
		ret = allow_all(rules, references->directories, LANDLOCK_READ);
	if (!ret)
		ret = allow_all(rules, references->data_directories, use);
	if (!ret)
		allow_devices(rules, references->directories);
	return ret;
}

static int allow_layers(int rules, const struct jail *jail)
{
	int ret = 0;

	for (unsigned int i = 0; !ret && i < jail->nr_layers; i++) {
		const struct qcow_layer *layer = &jail->layers[i];

		ret = landlock_allow(rules, layer->path,
				     jail->write && layer->written ?
					     LANDLOCK_WRITE :
					     LANDLOCK_READ);
	}
	return ret;
}

static int allow_ours(int rules, const struct jail *jail, enum landlock_use use)
{
	static const char *const always[] = { "/proc", "/sys", NULL };
	int ret = allow_all(rules, always, LANDLOCK_READ);

	if (!ret && jail->key_file)
		ret = landlock_allow(rules, jail->key_file, LANDLOCK_READ);
	if (!ret)
		ret = landlock_allow(rules, QCOW_JOURNAL_DIR, use);
	return ret ? ret : landlock_allow(rules, state_dir(), use);
}

int jail_allow_files(int rules, const struct jail *jail)
{
	enum landlock_use use = jail->write ? LANDLOCK_WRITE : LANDLOCK_READ;
	char path[PATH_MAX];
	int ret;

	/* A name that leads nowhere: the opening will say so. */
	if (!realpath(jail->image, path))
		snprintf(path, sizeof(path), "%s", jail->image);
	ret = landlock_allow(rules, path, use);
	if (!ret)
		ret = allow_references(rules, path, jail->references, use);
	if (!ret)
		ret = allow_layers(rules, jail);
	return ret ? ret : allow_ours(rules, jail, use);
}

/* Before the rights are given up: the names may lead through anybody's
   directories. */
static int make_rules(const struct jail *jail, int *rules)
{
	int ret = landlock_open(rules);

	if (ret) {
		*rules = -1;
		return ret == -EOPNOTSUPP ? 0 : ret;
	}
	return jail_allow_files(*rules, jail);
}

/* ---- system calls ---- */

/* The C library tries calls that an old kernel lacks.  The library takes EPERM
   for a failure that matters, and ENOSYS for an old kernel. */
#define REFUSE RETURN(SECCOMP_RET_ERRNO | ENOSYS)

#define NEW_SPACES \
	(CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | \
	 CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET)

/* Files by their names; Landlock says which. */
static const struct sock_filter naming[] = {
	ALLOW(openat),	   ALLOW(faccessat),
#ifdef __NR_faccessat2
	ALLOW(faccessat2),
#endif
#ifdef __NR_open
	ALLOW(open),	   ALLOW(stat),	     ALLOW(lstat),
	ALLOW(access),	   ALLOW(unlink),
#endif
	ALLOW(unlinkat),   ALLOW(linkat), /* a journal gets its name */
	ALLOW(getdents64), ALLOW(getcwd),    ALLOW(statfs),
};

static const struct sock_filter calls[] = {
	/* Files that are open, as the clerk gives them. */
	ALLOW(sendmsg),
	ALLOW(recvmsg),
	ALLOW(newfstatat), /* fstat() of some C libraries */
	ALLOW(statx),
	ALLOW(readlinkat), /* where they are */
#ifdef __NR_readlink
	ALLOW(readlink),
#endif
	ALLOW(read),
	ALLOW(write),
	ALLOW(writev),
	ALLOW(pread64),
	ALLOW(pwrite64),
	ALLOW(lseek),
	ALLOW(fstat),
	ALLOW(fstatfs),
	ALLOW(fcntl), /* locks */
	ALLOW(ftruncate),
	ALLOW(memfd_create), /* shared with the reader of a legacy image */
	ALLOW(fallocate),
	ALLOW(fadvise64),
	ALLOW(fsync),
	ALLOW(fdatasync),
	ALLOW(close),
	ALLOW(close_range),
	/* Of devices and of a terminal these only: others type commands into
	   the terminal, as if the user had. */
	ON_ARGUMENT(ioctl, 1, 5),
	OF(BLKROGET),
	OF(BLKSSZGET),
	OF(BLKGETSIZE64),
	OF(TCGETS),
	OF(TIOCGWINSZ),
	REFUSE,
	/* Threads, and the processes of a legacy image.  None of them gets name
	   spaces, for a process has all rights in its own. */
	ALLOW_IF(clone, 0, NEW_SPACES, 0),
	ALLOW(set_robust_list),
#ifdef __NR_rseq
	ALLOW(rseq),
#endif
	ALLOW(futex),
	ALLOW(exit),
	ALLOW(exit_group),
	ALLOW(wait4),
	ALLOW(waitid),
	ALLOW(kill), /* of processes of the same user, so its own */
	ALLOW(tgkill),
	ALLOW(pidfd_open),
	ALLOW_IF(socketpair, 0, ~0u, AF_UNIX),
	ALLOW(sendto),
	ALLOW(recvfrom),
	ALLOW(pipe2),
#ifdef __NR_poll
	ALLOW(poll),
#endif
	ALLOW(ppoll),
	/* The reader's own jail. */
	ALLOW(capget),
	ALLOW(capset),
	ALLOW(setfsuid),
	ALLOW(setfsgid),
	ALLOW(prctl),
	ALLOW(prlimit64),
	ALLOW(seccomp),
	ALLOW(landlock_create_ruleset),
	ALLOW(landlock_add_rule),
	ALLOW(landlock_restrict_self),
	/* Memory, none of it to execute. */
	ALLOW(brk),
	ALLOW_DATA(mmap),
	ALLOW_DATA(mprotect),
	ALLOW(munmap),
	ALLOW(mremap),
	ALLOW(madvise),
	ALLOW(msync),
	/* Time, signals, and the process's own ids. */
	ALLOW(clock_gettime),
	ALLOW(clock_nanosleep),
	ALLOW(nanosleep),
	ALLOW(gettimeofday),
	ALLOW(restart_syscall),
	ALLOW(rt_sigaction),
	ALLOW(rt_sigprocmask),
	ALLOW(rt_sigreturn),
	ALLOW(sigaltstack),
	ALLOW(getpid),
	ALLOW(gettid),
	ALLOW(getppid),
	ALLOW(getuid),
	ALLOW(geteuid),
	ALLOW(getgid),
	ALLOW(getegid),
	ALLOW(getrandom),
	ALLOW(sched_getaffinity),
	ALLOW(sched_yield),
	ALLOW(sysinfo),
	ALLOW(uname),
	REFUSE,
};

static void append(struct sock_fprog *program, const struct sock_filter *some,
		   size_t count)
{
	memcpy(&program->filter[program->len], some, count * sizeof(*some));
	program->len += count;
}

static int limit_calls(bool names)
{
	static const struct sock_filter head[] = { FILTER_BEGIN };
	struct sock_filter
		list[ARRAY_SIZE(head) + ARRAY_SIZE(naming) + ARRAY_SIZE(calls)];
	struct sock_fprog program = { 0, list };

	append(&program, head, ARRAY_SIZE(head));
	if (names)
		append(&program, naming, ARRAY_SIZE(naming));
	append(&program, calls, ARRAY_SIZE(calls));
	if (!FILTER_ARCH)
		return 0;
	if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0)
		return errno == EINVAL ? 0 : -errno; /* not in this kernel */
	return 0;
}

/* ---- all of it ---- */

/* rules: -1 without Landlock. */
static int fall(uint32_t capabilities, int rules)
{
	int ret = jail_limit(RLIMIT_CORE, 0);

	if (!ret)
		ret = jail_fall(capabilities);
	if (!ret && rules >= 0)
		ret = landlock_restrict(rules);
	if (rules >= 0)
		close(rules);
	return ret;
}

static int confine_clerk(const struct jail *jail)
{
	int rules;
	int ret = make_rules(jail, &rules);

	if (!ret)
		ret = fall(jail->write ? JAIL_WRITES : JAIL_READS, rules);
	return ret ? ret : limit_calls(true);
}

/* No file may be opened; it follows the links of its own descriptors. */
static int confine_reader(void)
{
	int rules;
	int ret = landlock_open(&rules);

	if (ret == -EOPNOTSUPP)
		rules = -1;
	else if (ret)
		return ret;
	else if (!FILTER_ARCH)
		/* A sanitizer looks at the threads when the process ends. */
		landlock_allow(rules, "/proc", LANDLOCK_READ);
	ret = fall(0, rules);
	return ret ? ret : limit_calls(false);
}

int jail_enter_for(const struct jail *jail)
{
	int ret;

	/* The C library reads the time zone from a file. */
	tzset();
	ret = jail_start_clerk(confine_clerk, jail);
	return ret ? ret : confine_reader();
}
