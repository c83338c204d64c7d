// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The system calls of a server.
 *
 * Of one that serves, any other call kills it.  To die harms nothing (P1), and
 * the next server takes over.  No call takes a path to a file (the mount
 * namespace is empty besides), makes a socket or a process, or maps memory to
 * execute.  io_uring_enter() is the gate to operations that the filter does not
 * see; restrict.c restricts the ring.
 *
 * While the server opens its image there are some calls more: it makes threads,
 * and asks the clerk for files.  Any other call fails then.  It does not kill,
 * for there is more code to come by it, that of libraries among it, and without
 * an open image there is no disk.
 *
 * The list is made by hand as the legacy reader's is: it is short, and a
 * library for it would be one more thing that each host must have.
 */
#include <errno.h>
#include <linux/fs.h>
#include <linux/io_uring.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>
#include "plugin/server/fault.h"
#include "plugin/server/syscalls.h"
#include "qcow/bits.h"
#include "qcow/filter.h"

/* liburing may ask to name the ring itself by a registered number. */
#define REGISTER_OPCODE 0x7fffffffu

#define REFUSE RETURN(SECCOMP_RET_ERRNO | ENOSYS)

/* Those of the opening alone.  They come first: some are allowed with any
   argument here. */
static const struct sock_filter opening[] = {
	/* The clerk: files arrive as descriptors. */
	ALLOW(sendmsg),
	ALLOW(recvmsg),
	ALLOW_IF(socketpair, 0, ~0u, AF_UNIX), /* the legacy reader's */
	ALLOW(memfd_create),		       /* likewise */
	/* A file: its locks, its kind, its size. */
	ALLOW(fcntl),
	ON_ARGUMENT(ioctl, 1, 2),
	OF(BLKROGET),
	OF(BLKSSZGET),
	REFUSE,
	ALLOW(statx),
	ALLOW(fstatfs),
	ALLOW(fadvise64),
	ALLOW(fsync),
	ALLOW(openat), /* the device's node; Landlock has no other rule */
	/* Threads, and no process. */
	ALLOW_IF(clone, 0, CLONE_THREAD, CLONE_THREAD),
	ALLOW(rt_sigaction),
	ALLOW(sigaltstack),
	ALLOW(sched_yield),
	ALLOW(nanosleep),
	/* The ring gets its files and buffers. */
	ALLOW(io_uring_register),
	ALLOW(eventfd2),
	ALLOW(pipe2),
	/* The end of the opening. */
	ALLOW(prlimit64),
	ALLOW(seccomp),
};

static const struct sock_filter always[] = {
	/* The queues: all I/O on the device and on clusters. */
	ALLOW(io_uring_enter),
	/* The engine: compressed clusters, tables, the header. */
	ALLOW(pread64),
	ALLOW(pwrite64),
	ALLOW(fdatasync),
	ALLOW(fallocate),  /* holes, and room */
	ALLOW(ftruncate),  /* the close */
	ALLOW(lseek),	   /* the end of a file */
	ALLOW(fstat),	   /* the lease: times of a file */
	ALLOW(newfstatat), /* fstat() of some C libraries */
	/* Threads wait for one another, and for a while. */
	ALLOW(futex),
	ALLOW(clock_gettime), /* where the clock needs the kernel */
	ALLOW(clock_nanosleep),
	ALLOW(restart_syscall),
	ALLOW(write), /* eventfds; stderr */
	ALLOW(read),  /* an eventfd */
	/* The channel to the supervisor; the legacy reader. */
	ALLOW(sendto),
	ALLOW(recvfrom),
#ifdef __NR_poll
	ALLOW(poll),
#endif
	ALLOW(ppoll), /* poll() of some C libraries */
	/* Memory, none of it to execute. */
	ALLOW(brk),
	ALLOW_DATA(mmap),
	ALLOW_DATA(mprotect),
	ALLOW(munmap),
	ALLOW(mremap),
	ALLOW(madvise),
	ALLOW(getrandom),	  /* malloc() */
	ALLOW(sched_getaffinity), /* malloc() of a new thread */
	ALLOW(sysinfo),		  /* qsort() asks how much there is */
	/* The end, in good order or by a failed assertion. */
	ALLOW(close),
	ALLOW(wait4), /* the clerk; the legacy reader */
	ALLOW(exit),
	ALLOW(exit_group),
	ALLOW(rt_sigreturn),
	ALLOW(rt_sigprocmask),
	ALLOW(getpid),
	ALLOW(gettid),
	ALLOW_IF(io_uring_register, 1, REGISTER_OPCODE,
		 IORING_UNREGISTER_RING_FDS),
	/* A thread that has just begun, and gives itself a name; huge pages
	   (buffers.c). */
	ALLOW(set_robust_list),
#ifdef __NR_rseq
	ALLOW(rseq),
#endif
	ON_ARGUMENT(prctl, 0, 2),
	OF(PR_SET_NAME),
	OF(PR_SET_THP_DISABLE),
	RETURN(SECCOMP_RET_KILL_PROCESS),
};

/* ---- a list, piece by piece ---- */

#define LIST_MAX (ARRAY_SIZE(opening) + ARRAY_SIZE(always) + 32)

struct list {
	struct sock_filter calls[LIST_MAX];
	unsigned short count;
};

static void append(struct list *list, const struct sock_filter *calls,
		   size_t count)
{
	memcpy(&list->calls[list->count], calls, count * sizeof(*calls));
	list->count += count;
}

static void begin(struct list *list)
{
	const struct sock_filter head[] = { FILTER_BEGIN };

	list->count = 0;
	append(list, head, ARRAY_SIZE(head));
}

/* abort() */
static void end(struct list *list, struct sock_filter otherwise)
{
	const struct sock_filter tail[] = {
		ALLOW_IF(tgkill, 0, ~0u, (uint32_t)getpid()),
		otherwise,
	};

	append(list, always, ARRAY_SIZE(always));
	append(list, tail, ARRAY_SIZE(tail));
}

static int apply(struct list *list, unsigned int flags)
{
	const struct sock_fprog program = { list->count, list->calls };

	if (!FILTER_ARCH || fault("no-seccomp"))
		return -EOPNOTSUPP;
	if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &program))
		return errno == EINVAL || errno == ENOSYS ? -EOPNOTSUPP :
							    -EBUSY;
	return 0;
}

int syscalls_limit(void)
{
	struct list list;

	begin(&list);
	append(&list, opening, ARRAY_SIZE(opening));
	end(&list, (struct sock_filter)REFUSE);
	return apply(&list, 0);
}

int syscalls_restrict(void)
{
	struct list list;

	begin(&list);
	end(&list, (struct sock_filter)RETURN(SECCOMP_RET_KILL_PROCESS));
	return apply(&list, SECCOMP_FILTER_FLAG_TSYNC);
}
