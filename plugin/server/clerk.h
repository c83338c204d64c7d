/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The clerk: a child of the server that alone may command the driver, and
 * that is gone before the server reads a byte of a guest.
 */
#ifndef CLERK_H
#define CLERK_H

#include <stdint.h>
#include "plugin/server/ublk_abi.h"

struct clerk;

/* A device as the driver has it. */
struct clerk_view {
	struct ublksrv_ctrl_dev_info info;
	struct ublk_params params;
};

/* Starts a clerk for the device with this nonce.  For the server's first
   thread, before there is another.
   Returns: those of control_open(), or another -errno. */
int clerk_start(uint64_t nonce, struct clerk **clerk);

/* Looks at device id.  The later orders are for this device.
   -EXDEV: it is another program's. */
int clerk_look(struct clerk *clerk, int id, struct clerk_view *view);

/* Makes the driver ready for a successor of the dead server: see
   device_start_recovery(). */
int clerk_start_recovery(struct clerk *clerk);

/* Each waits until the I/O thread has fetched.  *timeout is the result of
   device_set_timeout(). */
int clerk_start_device(struct clerk *clerk, int *timeout);
int clerk_end_recovery(struct clerk *clerk);

/* Ends the clerk, and waits until it is dead. */
void clerk_dismiss(struct clerk *clerk);

#endif /* CLERK_H */
