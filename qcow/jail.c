// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The steps of a jail.
 *
 * The own user matters even where no capability is left: root without
 * capabilities is still the owner of root's files, and may signal root's
 * processes.  Each process has another id, so those of two images cannot
 * signal one another, either.
 *
 * For files there is one more user (setfsuid(2)).  That one stays the former
 * user while the process opens files by their names: a file server asks for the
 * user and not for capabilities.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <stdio.h>
#include <sys/fsuid.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "qcow/bits.h"
#include "qcow/jail.h"

/* Above the ids of users, and of containers' users. */
#define USER_FIRST  1962934272u /* 0x75000000 */
#define USER_NOBODY 65534u

#define CHANGES_USER (CAP_TO_MASK(CAP_SETUID) | CAP_TO_MASK(CAP_SETGID))

struct capabilities {
	struct __user_cap_header_struct header;
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];
};

static int get_capabilities(struct capabilities *all)
{
	all->header = (struct __user_cap_header_struct){
		.version = _LINUX_CAPABILITY_VERSION_3,
	};
	return syscall(SYS_capget, &all->header, all->data) < 0 ? -errno : 0;
}

int jail_limit_capabilities(uint32_t kept)
{
	struct capabilities all;
	int ret = get_capabilities(&all);

	if (ret)
		return ret;
	for (unsigned int i = 0; i < ARRAY_SIZE(all.data); i++) {
		all.data[i].permitted &= i ? 0 : kept;
		all.data[i].effective = all.data[i].permitted;
		all.data[i].inheritable = 0;
	}
	return syscall(SYS_capset, &all.header, all.data) < 0 ? -errno : 0;
}

static int become(uid_t id)
{
	if (setresgid(id, id, id) < 0 || setresuid(id, id, id) < 0)
		return -errno;
	return 0;
}

int jail_change_user(uint32_t id)
{
	int ret;

	/* A container without privileges keeps its groups. */
	if (setgroups(0, NULL) < 0 && errno != EPERM)
		return -errno;
	ret = become(USER_FIRST + id);
	if (ret == -EINVAL)
		ret = become(USER_NOBODY);
	/* A change of the user sets the flag anew. */
	prctl(PR_SET_DUMPABLE, 0);
	return ret;
}

/* When the user changes, the kernel forgets the signal that the parent's death
   should send. */
struct bond {
	pid_t parent;
	int signal; /* 0: none */
};

static void note_bond(struct bond *bond)
{
	bond->parent = getppid();
	if (prctl(PR_GET_PDEATHSIG, &bond->signal) < 0)
		bond->signal = 0;
}

/* -EOWNERDEAD: the parent has died meanwhile. */
static int renew_bond(const struct bond *bond)
{
	if (!bond->signal)
		return 0;
	if (prctl(PR_SET_PDEATHSIG, bond->signal) < 0)
		return -errno;
	return getppid() == bond->parent ? 0 : -EOWNERDEAD;
}

/* The user for files stays. */
static int leave_user(uint32_t capabilities)
{
	const uid_t user = geteuid();
	const gid_t group = getegid();
	struct bond bond;
	int ret;

	note_bond(&bond);
	if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) < 0)
		return -errno;
	ret = jail_change_user(JAIL_PROCESSES + getpid());
	/* A container may have its root and nobody else. */
	if (ret == -EINVAL)
		return 0;
	if (!ret)
		ret = jail_limit_capabilities(capabilities | CHANGES_USER);
	if (!ret && capabilities) {
		setfsgid(group);
		setfsuid(user);
		/* Both return the former id, and no error: a second call
		   tells whether the first one worked. */
		ret = setfsuid(user) == (int)user ? 0 : -EPERM;
	}
	return ret ? ret : renew_bond(&bond);
}

int jail_fall(uint32_t capabilities)
{
	struct capabilities all;
	int ret = get_capabilities(&all);

	if (!ret && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		ret = -errno;
	if (ret)
		return ret;
	/* A host may forbid name spaces, or have none left. */
	if (unshare(CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS) < 0 &&
	    errno == ENOMEM)
		return -ENOMEM;
	if (!(~all.data[0].effective & CHANGES_USER))
		ret = leave_user(capabilities);
	return ret ? ret : jail_limit_capabilities(capabilities);
}

int jail_end_files(void)
{
	struct bond bond;
	int ret;

	note_bond(&bond);
	setfsuid(geteuid());
	setfsgid(getegid());
	ret = jail_limit_capabilities(0);
	return ret ? ret : renew_bond(&bond);
}

int jail_limit(int resource, rlim_t value)
{
	const struct rlimit limits = { value, value };

	return setrlimit(resource, &limits) < 0 ? -errno : 0;
}

int jail_open_size(int *size)
{
	*size = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
	return *size < 0 ? -errno : 0;
}

int jail_limit_memory(int size, uint64_t room)
{
	char text[32] = "";
	unsigned long long pages;

	if (pread(size, text, sizeof(text) - 1, 0) < 0)
		return -errno;
	if (sscanf(text, "%llu", &pages) != 1)
		return -EIO;
	return jail_limit(RLIMIT_AS, pages * sysconf(_SC_PAGESIZE) + room);
}
