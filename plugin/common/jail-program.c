// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The jail of a program that others have written, and that reads an image.
 *
 * The program is to find its libraries, so it keeps the host's mounts, and
 * Landlock allows the files that programs consist of.
 *
 * The user stays: an own user would get no capability by executing, and could
 * not read the image.  Root gets those that the bounding set has, and without
 * new privileges none that this process has given up.  But root's name is worth
 * something without any capability: other services obey it on their sockets,
 * and the kernel lets it signal, limit and slow down all of root's processes.
 * So a filter refuses the calls by which the program would use that name, those
 * that make processes, and those of the kernel's parts that an image's reader
 * has no use for, and that had the most holes.
 *
 * The filter is a list of refused calls, and not of allowed ones as all others
 * here.  QEMU's makers had a list of allowed calls for QEMU itself, and gave it
 * up: its dozens of libraries bring others, by version and distribution.  Our
 * list would be a guess about hosts that we have not seen, and a wrong guess
 * would make every backup there fail.  To be sound, a list of refused calls
 * needs an end: calls that are newer than Linux 6.12 are refused, too, and with
 * them all numbers of a second ABI.  ENOSYS is the answer of a kernel that does
 * not have the call, so a program makes do without: QEMU polls where it gets no
 * ring.
 */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <linux/sockios.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "plugin/common/jail-inside.h"
#include "plugin/common/jail.h"
#include "qcow/bits.h"
#include "qcow/filter.h"
#include "qcow/jail.h"
#include "qcow/landlock.h"

static const char *const programs[] = {
	"/usr", "/bin", "/lib", "/lib64", "/nix", "/gnu", NULL,
};

static const char *const read_only[] = {
	"/dev/urandom", "/etc/ld.so.cache", "/etc/ssl", "/etc/gnutls", NULL,
};

/* ---- files ---- */

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

/* ---- rights ---- */

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

/* ---- system calls ---- */

#define REFUSED	    (SECCOMP_RET_ERRNO | ENOSYS)
#define NEWEST_CALL 462 /* of Linux 6.12, mseal(); one for all machines */
#define LIST_MAX    512

static const int refused[] = {
	/* Services obey root. */
	__NR_socket,
	__NR_connect,
	/* Processes, that could outlive this one; threads are made below. */
	__NR_clone3,
#ifdef __NR_fork
	__NR_fork,
	__NR_vfork,
#endif
	/* Others' processes. */
	__NR_ptrace,
	__NR_process_vm_readv,
	__NR_process_vm_writev,
	__NR_process_madvise,
	__NR_process_mrelease,
	__NR_kcmp,
	__NR_pidfd_open,
	__NR_pidfd_getfd,
	__NR_pidfd_send_signal,
	__NR_tkill,
	__NR_rt_sigqueueinfo,
	__NR_rt_tgsigqueueinfo,
	__NR_setpriority,
	__NR_ioprio_set,
	__NR_migrate_pages,
	__NR_move_pages,
	/* Name spaces, and files past their names. */
	__NR_unshare,
	__NR_setns,
	__NR_mount,
	__NR_umount2,
	__NR_pivot_root,
	__NR_chroot,
	__NR_fsopen,
	__NR_fsconfig,
	__NR_fsmount,
	__NR_fspick,
	__NR_open_tree,
	__NR_move_mount,
	__NR_mount_setattr,
	__NR_name_to_handle_at,
	__NR_open_by_handle_at,
	__NR_fanotify_init,
	__NR_mknodat,
#ifdef __NR_mknod
	__NR_mknod,
#endif
	__NR_quotactl,
	__NR_quotactl_fd,
	__NR_swapon,
	__NR_swapoff,
	__NR_acct,
	/* The kernel's. */
	__NR_io_uring_setup,
	__NR_io_uring_enter,
	__NR_io_uring_register,
	__NR_bpf,
	__NR_perf_event_open,
	__NR_userfaultfd,
	__NR_keyctl,
	__NR_add_key,
	__NR_request_key,
#ifdef __NR_memfd_secret
	__NR_memfd_secret,
#endif
	__NR_personality,
	__NR_vmsplice,
	__NR_init_module,
	__NR_finit_module,
	__NR_delete_module,
	__NR_kexec_load,
#ifdef __NR_kexec_file_load
	__NR_kexec_file_load,
#endif
	__NR_reboot,
	__NR_syslog,
	__NR_settimeofday,
	__NR_clock_settime,
	__NR_adjtimex,
	__NR_clock_adjtime,
	__NR_sethostname,
	__NR_setdomainname,
	__NR_vhangup,
#ifdef __x86_64__
	__NR_iopl,
	__NR_ioperm,
	__NR_modify_ldt,
#endif
};

/* Of these the process itself is 0. */
static const int with_pid[] = {
	__NR_prlimit64,	     __NR_sched_setaffinity, __NR_sched_setscheduler,
	__NR_sched_setparam, __NR_sched_setattr,
};

/* Others type commands into a terminal; and the kernel sends signals to a
   file's owner, any signal. */
static const struct argument {
	int call;
	unsigned int value;
} second_arguments[] = {
	{ __NR_ioctl, TIOCSTI },   { __NR_ioctl, TIOCLINUX },
	{ __NR_ioctl, FIOSETOWN }, { __NR_ioctl, SIOCSPGRP },
	{ __NR_fcntl, F_SETOWN },  { __NR_fcntl, F_SETOWN_EX },
	{ __NR_fcntl, F_SETSIG },
};

struct list {
	struct sock_filter code[LIST_MAX];
	unsigned short count;
};

static void append(struct list *list, const struct sock_filter *code,
		   size_t count)
{
	memcpy(&list->code[list->count], code, count * sizeof(*code));
	list->count += count;
}

static void refuse(struct list *list, int call)
{
	const struct sock_filter code[] = { ON(call, REFUSED) };

	append(list, code, ARRAY_SIZE(code));
}

/* If the argument has the value, or unless it has that. */
static void refuse_by(struct list *list, int call, unsigned int argument,
		      bool has, unsigned int value)
{
	const struct sock_filter code[] = {
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, call, 0, 4),
		LOAD(args[argument]),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, !has, has),
		RETURN(REFUSED),
		LOAD(nr),
	};

	append(list, code, ARRAY_SIZE(code));
}

static void refuse_processes(struct list *list)
{
	const struct sock_filter code[] = {
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_clone, 0, 4),
		LOAD(args[0]),
		BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, CLONE_THREAD, 1, 0),
		RETURN(REFUSED),
		LOAD(nr),
	};

	append(list, code, ARRAY_SIZE(code));
}

static void make_list(struct list *list)
{
	const struct sock_filter begin[] = {
		FILTER_BEGIN,
		BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, NEWEST_CALL, 0, 1),
		RETURN(REFUSED),
	};
	const struct sock_filter end[] = { RETURN(SECCOMP_RET_ALLOW) };

	append(list, begin, ARRAY_SIZE(begin));
	for (unsigned int i = 0; i < ARRAY_SIZE(refused); i++)
		refuse(list, refused[i]);
	for (unsigned int i = 0; i < ARRAY_SIZE(with_pid); i++)
		refuse_by(list, with_pid[i], 0, false, 0);
	for (unsigned int i = 0; i < ARRAY_SIZE(second_arguments); i++)
		refuse_by(list, second_arguments[i].call, 1, true,
			  second_arguments[i].value);
	/* abort() and the like.  To execute keeps the pid. */
	refuse_by(list, __NR_kill, 0, false, getpid());
	refuse_by(list, __NR_tgkill, 0, false, getpid());
	refuse_processes(list);
	append(list, end, ARRAY_SIZE(end));
}

static int limit_calls(void)
{
	struct list list = { .count = 0 };
	struct sock_fprog program = { .filter = list.code };

	if (!FILTER_ARCH)
		return 0;
	make_list(&list);
	program.len = list.count;
	if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0)
		return errno == EINVAL ? 0 : -errno; /* not in this kernel */
	return 0;
}

/* ---- all of it ---- */

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
	return ret ? ret : limit_calls();
}
