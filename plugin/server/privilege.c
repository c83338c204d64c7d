// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The I/O thread has no CAP_SYS_ADMIN.
 *
 * It needs none: its files are open.  And the driver looks at whoever fetches
 * a queue's last tag: if that is a task without this capability, the disk's
 * contents are not to be trusted, and START_DEV does not let the host parse
 * the partition table in it.  That is what we want, for it is the guest's
 * table; and it removes a trap.  START_DEV reads the table with the device's
 * mutex held, so a server that dies in that moment leaves a read that nobody
 * will ever answer, and a device that no command can touch any more.  Drivers
 * of 7.x can be told by a flag (UBLK_F_NO_AUTO_PART_SCAN); this tells the
 * older ones too.
 *
 * Capabilities are a thread's; the C library has no function for one.
 */
#include <errno.h>
#include <linux/capability.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "plugin/server/privilege.h"

int privilege_drop_admin(void)
{
	struct __user_cap_header_struct header = {
		.version = _LINUX_CAPABILITY_VERSION_3,
	};
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];
	const uint32_t others = ~CAP_TO_MASK(CAP_SYS_ADMIN);

	if (syscall(SYS_capget, &header, data) < 0)
		return -errno;
	data[CAP_TO_INDEX(CAP_SYS_ADMIN)].effective &= others;
	data[CAP_TO_INDEX(CAP_SYS_ADMIN)].permitted &= others;
	data[CAP_TO_INDEX(CAP_SYS_ADMIN)].inheritable &= others;
	if (syscall(SYS_capset, &header, data) < 0)
		return -errno;
	return 0;
}
