/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A list of the system calls that a process may make, as instructions for the
 * kernel's filter (seccomp).  A list begins with FILTER_BEGIN and ends with a
 * RETURN.
 *
 * FILTER_ARCH is 0 where there is no filter: on machines that are not listed
 * here, and with sanitizers, which have system calls of their own.
 */
#ifndef FILTER_H
#define FILTER_H

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define HAS_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define HAS_SANITIZER 1
#endif
#endif

#if defined(HAS_SANITIZER)
#define FILTER_ARCH 0
#elif defined(__x86_64__)
#define FILTER_ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__) && defined(__AARCH64EL__)
#define FILTER_ARCH AUDIT_ARCH_AARCH64
#else
#define FILTER_ARCH 0
#endif

#define LOAD(field) \
	BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define RETURN(action) BPF_STMT(BPF_RET | BPF_K, action)
/* if (A == value) return action; */
#define ON(value, action) \
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, 0, 1), RETURN(action)
#define FILTER_BEGIN \
	LOAD(arch), BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, FILTER_ARCH, 1, 0), \
		RETURN(SECCOMP_RET_KILL_PROCESS), LOAD(nr)
#define ALLOW(call) ON(__NR_##call, SECCOMP_RET_ALLOW)
/* if (A == call) return the third argument has PROT_EXEC ? kill : allow; */
#define ALLOW_DATA(call) \
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_##call, 0, 4), LOAD(args[2]), \
		BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, PROT_EXEC, 0, 1), \
		RETURN(SECCOMP_RET_KILL_PROCESS), RETURN(SECCOMP_RET_ALLOW)
/* if (A == call) return (argument & mask) == value ? allow : kill; */
#define ALLOW_IF(call, argument, mask, value) \
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_##call, 0, 5), \
		LOAD(args[argument]), \
		BPF_STMT(BPF_ALU | BPF_AND | BPF_K, mask), \
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, 0, 1), \
		RETURN(SECCOMP_RET_ALLOW), RETURN(SECCOMP_RET_KILL_PROCESS)
/* if (A == call) return argument is one of so many that follow, each as OF() ?
   allow : the filter that follows those; */
#define ON_ARGUMENT(call, argument, number) \
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_##call, 0, (number)*2 + 2), \
		LOAD(args[argument])
#define OF(value) ON(value, SECCOMP_RET_ALLOW)

#endif /* FILTER_H */
