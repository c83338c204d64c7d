// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The privileges of root that the hook and the agent have no use for.
 *
 * Both read input from others.  Both execute programs that serve disks, and
 * these need many privileges.  So there are three kinds of capabilities:
 *
 *	gone		no process of a disk needs them; the units of systemd
 *			name the same ones
 *	permitted	they have no effect in this process.  A program that it
 *			executes has them.
 *	effective	to look at the files of others
 *
 * To give up those of the second kind, too, would cost the death signal of a
 * child: the kernel forgets it when an executed program has more than its
 * process had.
 */
#include <linux/capability.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "plugin/common/privileges.h"

#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))

static const int gone[] = {
	CAP_SYS_MODULE,	   CAP_SYS_RAWIO,
	CAP_SYS_TIME,	   CAP_SYS_BOOT,
	CAP_SYSLOG,	   CAP_MAC_ADMIN,
	CAP_MAC_OVERRIDE,  CAP_AUDIT_CONTROL,
	CAP_AUDIT_READ,	   CAP_WAKE_ALARM,
	CAP_BLOCK_SUSPEND, CAP_BPF,
	CAP_PERFMON,	   CAP_NET_RAW,
	CAP_NET_BROADCAST, CAP_NET_BIND_SERVICE,
	CAP_SYS_PACCT,	   CAP_SYS_TTY_CONFIG,
	CAP_LEASE,	   CAP_LINUX_IMMUTABLE,
};

/* An older kernel does not know them all; a container may not have the
   right. */
static void limit_children(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(gone); i++)
		prctl(PR_CAPBSET_DROP, gone[i], 0, 0, 0);
	prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
}

void privileges_limit(void)
{
	struct __user_cap_header_struct header = {
		.version = _LINUX_CAPABILITY_VERSION_3,
	};
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];

	limit_children();
	if (syscall(SYS_capget, &header, data) < 0)
		return;
	for (size_t i = 0; i < ARRAY_SIZE(gone); i++)
		data[CAP_TO_INDEX(gone[i])].permitted &= ~CAP_TO_MASK(gone[i]);
	for (size_t i = 0; i < ARRAY_SIZE(data); i++)
		data[i].effective = data[i].inheritable = 0;
	data[0].effective = data[0].permitted &
			    CAP_TO_MASK(CAP_DAC_READ_SEARCH);
	syscall(SYS_capset, &header, data);
}

void privileges_take(unsigned int capability)
{
	struct __user_cap_header_struct header = {
		.version = _LINUX_CAPABILITY_VERSION_3,
	};
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];
	struct __user_cap_data_struct *half;

	if (syscall(SYS_capget, &header, data) < 0)
		return;
	half = &data[CAP_TO_INDEX(capability)];
	half->effective |= half->permitted & CAP_TO_MASK(capability);
	syscall(SYS_capset, &header, data);
}
