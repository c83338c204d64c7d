/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The kernel's ublk interface.
 *
 * Structures come from <linux/ublk_cmd.h>, which Debian bookworm has in the
 * edition of 6.1; the rest is defined here, each with the release that brought
 * it.  Commands always go by their ioctl-encoded numbers, for a kernel may be
 * built without the plain ones.
 */
#ifndef UBLK_ABI_H
#define UBLK_ABI_H

#include <linux/ioctl.h>
#include <linux/ublk_cmd.h>

#define UBLK_CONTROL_PATH "/dev/ublk-control"

/* Commands of /dev/ublk-control, for a ring with IORING_SETUP_SQE128. */
#ifndef UBLK_U_CMD_ADD_DEV /* 6.4 */
#define UBLK_U_CMD_GET_DEV_INFO	       _IOR('u', 0x02, struct ublksrv_ctrl_cmd)
#define UBLK_U_CMD_ADD_DEV	       _IOWR('u', 0x04, struct ublksrv_ctrl_cmd)
#define UBLK_U_CMD_DEL_DEV	       _IOWR('u', 0x05, struct ublksrv_ctrl_cmd)
#define UBLK_U_CMD_START_DEV	       _IOWR('u', 0x06, struct ublksrv_ctrl_cmd)
#define UBLK_U_CMD_STOP_DEV	       _IOWR('u', 0x07, struct ublksrv_ctrl_cmd)
#define UBLK_U_CMD_SET_PARAMS	       _IOWR('u', 0x08, struct ublksrv_ctrl_cmd)
#define UBLK_U_CMD_GET_PARAMS	       _IOR('u', 0x09, struct ublksrv_ctrl_cmd)
#define UBLK_U_CMD_START_USER_RECOVERY _IOWR('u', 0x10, struct ublksrv_ctrl_cmd)
#define UBLK_U_CMD_END_USER_RECOVERY   _IOWR('u', 0x11, struct ublksrv_ctrl_cmd)
#endif
#ifndef UBLK_U_CMD_GET_FEATURES /* 6.5; fills a __u64 */
#define UBLK_U_CMD_GET_FEATURES _IOR('u', 0x13, struct ublksrv_ctrl_cmd)
#endif
#ifndef UBLK_U_CMD_DEL_DEV_ASYNC /* 6.7; waits for nobody */
#define UBLK_U_CMD_DEL_DEV_ASYNC _IOR('u', 0x14, struct ublksrv_ctrl_cmd)
#endif
#ifndef UBLK_U_CMD_UPDATE_SIZE /* 6.16; data[0]: sectors */
#define UBLK_U_CMD_UPDATE_SIZE _IOWR('u', 0x15, struct ublksrv_ctrl_cmd)
#endif
#ifndef UBLK_U_CMD_QUIESCE_DEV /* 6.16; data[0]: patience in ms, 0 endless */
#define UBLK_U_CMD_QUIESCE_DEV _IOWR('u', 0x16, struct ublksrv_ctrl_cmd)
#endif
#ifndef UBLK_U_CMD_TRY_STOP_DEV /* 7.0; -EBUSY while the disk is open */
#define UBLK_U_CMD_TRY_STOP_DEV _IOWR('u', 0x17, struct ublksrv_ctrl_cmd)
#endif

/* Commands of /dev/ublkcN. */
#ifndef UBLK_U_IO_FETCH_REQ /* 6.4 */
#define UBLK_U_IO_FETCH_REQ	       _IOWR('u', 0x20, struct ublksrv_io_cmd)
#define UBLK_U_IO_COMMIT_AND_FETCH_REQ _IOWR('u', 0x21, struct ublksrv_io_cmd)
#endif

/* Features of a driver, flags of a device. */
#ifndef UBLK_F_CMD_IOCTL_ENCODE /* 6.4 */
#define UBLK_F_CMD_IOCTL_ENCODE (1UL << 6)
#endif
#ifndef UBLK_F_USER_COPY /* 6.5: see UBLK_BYTES() */
#define UBLK_F_USER_COPY (1UL << 7)
#endif
#ifndef UBLK_F_UPDATE_SIZE /* 6.16 */
#define UBLK_F_UPDATE_SIZE (1ULL << 10)
#endif
#ifndef UBLK_F_AUTO_BUF_REG /* 6.16: the address of a FETCH or COMMIT */
#define UBLK_F_AUTO_BUF_REG	   (1ULL << 11) /* tells an index, and flags << 16 */
#define UBLK_AUTO_BUF_REG_FALLBACK (1 << 0)
#define UBLK_IO_F_NEED_REG_BUF	   (1U << 17) /* that did not work */
#endif
#ifndef UBLK_F_QUIESCE /* 6.16 */
#define UBLK_F_QUIESCE (1ULL << 12)
#endif
#ifndef UBLK_F_PER_IO_DAEMON /* 6.16 */
#define UBLK_F_PER_IO_DAEMON (1ULL << 13)
#endif
#ifndef UBLK_F_SAFE_STOP_DEV /* 7.0: TRY_STOP_DEV works */
#define UBLK_F_SAFE_STOP_DEV (1ULL << 17)
#endif
#ifndef UBLK_F_NO_AUTO_PART_SCAN /* 7.0: the host leaves the disk unread */
#define UBLK_F_NO_AUTO_PART_SCAN (1ULL << 18)
#endif
#ifndef UBLK_F_SHMEM_ZC /* 7.1 */
#define UBLK_F_SHMEM_ZC (1ULL << 19)
#endif

/* With UBLK_F_USER_COPY: where in /dev/ublkcN a request has its bytes. */
#define UBLK_BYTES(queue_id, tag) \
	(UBLKSRV_IO_BUF_OFFSET + ((uint64_t)(queue_id) << (25 + 16)) + \
	 ((uint64_t)(tag) << 25))

#endif /* UBLK_ABI_H */
