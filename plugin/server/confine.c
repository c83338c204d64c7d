// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The confinement of a server, in three steps.
 *
 * First a server gives up all that it can without losing its files, for itself
 * and for its threads and children to come.
 *
 * Then it makes the things that only root may make: a clerk (clerk.c), and the
 * ring, which is restricted at once (restrict.c).
 *
 * Before it reads one byte of the image, with one thread, the server falls:
 *
 *	root		an empty file system; the host's mounts are gone
 *	user		an id that is the process's own, so that servers cannot
 *			signal one another, and with it all capabilities
 *	landlock	one rule, for the directory that will have the device's
 *			node; no signal to others, no abstract socket
 *	seccomp		the calls of an open (syscalls.c)
 *
 * From here on the clerk alone opens files, and hands the descriptors over.
 * Threads inherit all of this.
 *
 * When all files are open, /dev/ublkcN the last, and all threads exist, there
 * are the calls of a server that serves, and no memory and descriptor more.
 *
 * The I/O thread fetches after that.  The driver looks at the task that
 * fetches a queue's last tag.  If that task lacks CAP_SYS_ADMIN, the driver
 * does not trust the disk's contents, and START_DEV does not let the host parse
 * the disk's partition table.  We want that, for the table is the guest's.
 * This also removes a trap.  START_DEV reads the table with the device's mutex
 * held, so a server that dies in that moment leaves a read that nobody will
 * ever answer, and a device that no command can touch any more.  A flag tells
 * drivers of 7.x the same (UBLK_F_NO_AUTO_PART_SCAN); the fall tells the older
 * ones, too.
 *
 * There is no pid name space: a process does not enter one itself, only its
 * children do.  The driver compares the pid that a command names with the pid
 * of the process that opened /dev/ublkcN.
 *
 * The limit on memory is MEMORY_ROOM more than all that is mapped at the end:
 * the engine's caches are there by then, but each thread may reserve an arena
 * for malloc().
 *
 * There is no limit on processes: the kernel's own workers for the ring count
 * as processes, and a write that gets no worker fails.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <malloc.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "plugin/common/confinement.h"
#include "plugin/common/state.h"
#include "plugin/server/confine.h"
#include "plugin/server/fault.h"
#include "plugin/server/syscalls.h"
#include "qcow/filter.h"
#include "qcow/jail.h"
#include "qcow/landlock.h"

#define MEMORY_ROOM (2ull << 30) /* bytes */
#define ARENAS	    1		 /* of malloc() */
#define DESCRIPTORS 3		 /* more than these cannot be opened */

/* Are the other name spaces ours? */
static bool own_rest;

/* A descriptor that tells how much is mapped. */
static int size;

/* Before there is a clerk */

static int limit_privileges(void)
{
	int capability;

	for (capability = 0; prctl(PR_CAPBSET_READ, capability, 0, 0, 0) >= 0;
	     capability++)
		if (prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) < 0)
			return -errno;
	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0 ||
	    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -errno;
	return jail_limit_capabilities(~0u);
}

/* A host may forbid name spaces, or have none left (user.max_net_namespaces).
   That is no reason to leave a disk's users without a server. */
static int unshare_if_possible(int spaces, bool *done)
{
	*done = !unshare(spaces);
	return !*done && errno == ENOMEM ? -ENOMEM : 0;
}

int confine_prepare(void)
{
	int ret;

	/* With a second arena, free() opens a file to see whether the arena may
	   shrink. */
	mallopt(M_ARENA_MAX, ARENAS);
	ret = unshare_if_possible(CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS,
				  &own_rest);
	return ret ? ret : limit_privileges();
}

/* The fall: no paths */

/* Stderr stays, for a failed assertion. */
static int close_standard_streams(void)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	int ret = 0;

	if (null < 0)
		return -errno;
	if (dup2(null, STDIN_FILENO) < 0 || dup2(null, STDOUT_FILENO) < 0)
		ret = -errno;
	close(null);
	return ret;
}

static int mount_empty(void)
{
	if (mount("empty", STATE_DIR, "tmpfs",
		  MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_RDONLY,
		  "size=4k,nr_inodes=1,mode=0") < 0 ||
	    chdir(STATE_DIR) < 0)
		return -errno;
	return 0;
}

/* A root in the kernel's first memory can be covered, not exchanged. */
static int cover_root(void)
{
	if (mount(".", "/", NULL, MS_MOVE, NULL) < 0 || chroot(".") < 0)
		return -errno;
	return 0;
}

static int leave_root(void)
{
	int ret = mount_empty();

	if (ret)
		return ret;
	if (syscall(SYS_pivot_root, ".", ".") < 0)
		ret = cover_root();
	else if (umount2(".", MNT_DETACH) < 0)
		ret = -errno;
	return !ret && chdir("/") < 0 ? -errno : ret;
}

/* Otherwise it cannot be kept from the host's mounts; a container's may be a
   mere directory.  An old kernel does not tell. */
static bool root_is_mount(void)
{
	struct statx root;

	return statx(AT_FDCWD, "/", 0, 0, &root) ||
	       !(root.stx_attributes_mask & STATX_ATTR_MOUNT_ROOT) ||
	       root.stx_attributes & STATX_ATTR_MOUNT_ROOT;
}

/*
 * The host's unmounts must reach us, and our mounts must not reach the host.
 *
 * They do not reach copies of mounts that are private.  Then our copy may be
 * the last one, and to give that up writes the rest of the file system to its
 * disk, perhaps to the disk that waits for us.  So it must not be the last: the
 * clerk has had a copy since before, and keeps that until its end.
 */
static int own_mounts(bool *own)
{
	int ret = unshare_if_possible(CLONE_NEWNS, own);

	if (!ret && *own && mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) < 0)
		ret = -errno;
	fault_of_mounts();
	return ret;
}

/* The fall: Landlock */

/* Without a directory of its own for the node, the server opens it in /dev, of
   which no other node is its user's. */
static int allow_node(int rules, int nodes)
{
	return nodes < 0 ? landlock_allow(rules, "/dev", LANDLOCK_WRITE) :
			   landlock_allow_fd(rules, nodes, LANDLOCK_WRITE);
}

/* Before the paths are gone.  *rules is -1 without Landlock. */
static int make_rules(int nodes, int *rules)
{
	int ret = fault("no-landlock") ? -EOPNOTSUPP : landlock_open(rules);

	return ret ? ret : allow_node(*rules, nodes);
}

static int restrict_names(int rules)
{
	int ret = rules < 0 ? 0 : landlock_restrict(rules);

	if (rules >= 0)
		close(rules);
	return ret;
}

/* The fall */

static int check_capabilities(void)
{
	struct __user_cap_header_struct header = {
		.version = _LINUX_CAPABILITY_VERSION_3,
	};
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];

	if (syscall(SYS_capget, &header, data) < 0)
		return -errno;
	return data[0].permitted | data[1].permitted ? -EPERM : 0;
}

static int drop_privileges(void)
{
	int ret = jail_change_user(JAIL_PROCESSES + getpid());

	return ret ? ret : check_capabilities();
}

/* 0: the step holds, or this kernel does not have that step. */
static int note_step(int ret, enum confinement step, unsigned int *held)
{
	if (!ret)
		*held |= step;
	return ret == -EOPNOTSUPP ? 0 : ret;
}

/* The node in /dev needs a path to it; and a container may forbid to mount, or
   to change the root. */
static int leave_paths(int nodes, unsigned int *held)
{
	bool own = false;
	int ret = nodes < 0 || !root_is_mount() ? -EPERM : own_mounts(&own);

	if (!ret)
		ret = own ? leave_root() : -EPERM;
	if (ret == -EPERM || ret == -EACCES)
		return 0;
	if (!ret && own_rest)
		*held |= CONFINED_NAMESPACES;
	return ret;
}

/* The steps that need paths, and then the step that leaves them. */
static int leave_host(int nodes, unsigned int *held, int *rules,
		      const char **step)
{
	int ret;

	*step = "close its streams";
	ret = close_standard_streams();
	if (ret)
		return ret;
	*step = "find its size";
	ret = jail_open_size(&size);
	if (ret)
		return ret;
	*step = "make rules for Landlock";
	ret = note_step(make_rules(nodes, rules), CONFINED_LANDLOCK, held);
	if (ret)
		return ret;
	*step = "leave the host's files";
	return leave_paths(nodes, held);
}

int confine(int nodes, unsigned int *held, const char **step)
{
	int rules = -1;
	int ret;

	*held = CONFINED_USER | CONFINED_RING;
	ret = leave_host(nodes, held, &rules, step);
	if (ret)
		return ret;
	*step = "drop its privileges";
	ret = drop_privileges();
	if (ret)
		return ret;
	*step = "restrict its names";
	ret = restrict_names(rules);
	if (ret)
		return ret;
	*step = "restrict its system calls";
	return note_step(syscalls_limit(), CONFINED_SECCOMP, held);
}

/* When all is open */

static int limit_memory(void)
{
	/* Sanitizers map terabytes. */
	int ret = FILTER_ARCH ? jail_limit_memory(size, MEMORY_ROOM) : 0;

	close(size);
	return ret;
}

int confine_wholly(const char **step)
{
	int ret;

	*step = "set its limits";
	ret = limit_memory();
	if (!ret)
		ret = jail_limit(RLIMIT_NOFILE, DESCRIPTORS);
	if (ret)
		return ret;
	*step = "restrict its system calls";
	ret = syscalls_restrict();
	return ret == -EOPNOTSUPP ? 0 : ret;
}
