// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The system calls of a server that serves; any other one kills it.  To die
 * harms nothing (P1), and the next server takes over.
 *
 * No call takes a path to a file (the mount namespace is empty besides), makes
 * a socket or a process, or maps memory to execute.  io_uring_enter() is the
 * gate to operations that the filter does not see; queue.c restricts the ring.
 *
 * The list is made by hand as the legacy reader's is: it is short, and a
 * library for it would be one more thing that each host must have.
 */
#include <errno.h>
#include <linux/io_uring.h>
#include <sys/prctl.h>
#include <unistd.h>
#include "plugin/server/fault.h"
#include "plugin/server/syscalls.h"
#include "qcow/bits.h"
#include "qcow/filter.h"

/* liburing may ask to name the ring itself by a registered number. */
#define REGISTER_OPCODE 0x7fffffffu

int syscalls_restrict(void)
{
	const uint32_t self = getpid();
	struct sock_filter filter[] = {
		FILTER_BEGIN,
		/* The queues: all I/O on the device and on clusters. */
		ALLOW(io_uring_enter),
		/* The engine: compressed clusters, tables, the header. */
		ALLOW(pread64),
		ALLOW(pwrite64),
		ALLOW(fdatasync),
		ALLOW(fallocate),  /* holes */
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
		ALLOW_IF(tgkill, 0, ~0u, self), /* abort() */
		ALLOW_IF(io_uring_register, 1, REGISTER_OPCODE,
			 IORING_UNREGISTER_RING_FDS),
		/* A thread that has just begun gives itself a name. */
		ALLOW_IF(prctl, 0, ~0u, PR_SET_NAME),
		RETURN(SECCOMP_RET_KILL_PROCESS),
	};
	const struct sock_fprog program = { ARRAY_SIZE(filter), filter };

	if (!FILTER_ARCH || fault("no-seccomp"))
		return -EOPNOTSUPP;
	if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER,
		    SECCOMP_FILTER_FLAG_TSYNC, &program))
		return errno == EINVAL || errno == ENOSYS ? -EOPNOTSUPP :
							    -EBUSY;
	return 0;
}
