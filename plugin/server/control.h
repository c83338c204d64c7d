/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * /dev/ublk-control: one function per kernel command.  Used by the server
 * and by the supervisor, each with a struct control of its own.
 *
 * All return 0 or -errno.  Every command but the waiting ones is bounded in
 * time: on some kernels a faulty driver never answers, and a thread that
 * waits for it could not be killed; -ETIMEDOUT then.
 */
#ifndef CONTROL_H
#define CONTROL_H

#include <stdint.h>
#include "plugin/server/ublk_abi.h"

struct control;

/* Opens /dev/ublk-control.  Returns:
   0
   -ENOENT	the driver is not loaded
   -EACCES	we are not root
   -EPERM	io_uring is disabled by kernel.io_uring_disabled
   or another -errno. */
int control_open(struct control **control);
void control_close(struct control *control);

int control_get_features(struct control *control, uint64_t *features);

/* info->dev_id names the device, -1 lets the driver choose; the driver updates
   info.  -EEXIST: that id is taken. */
int control_add(struct control *control, struct ublksrv_ctrl_dev_info *info);
int control_get_info(struct control *control, int id,
		     struct ublksrv_ctrl_dev_info *info);
int control_set_params(struct control *control, int id,
		       const struct ublk_params *params);
int control_get_params(struct control *control, int id,
		       struct ublk_params *params);

/* The device grows to so many sectors of 512 bytes, and its users hear so.
   -EOPNOTSUPP: this driver cannot (before 6.16). */
int control_update_size(struct control *control, int id, uint64_t sectors);

/* Waits until all queues have fetched. */
int control_start(struct control *control, int id, int pid);

/* Ends the device; waits for the requests under way.  A server that is
   stuck must be killed before. */
int control_stop(struct control *control, int id);

/* Ends the device unless somebody has it open.  Returns:
   0		it has ended
   -EBUSY	somebody has it open
   -EOPNOTSUPP	this driver cannot (before 7.0)
   or another -errno. */
int control_try_stop(struct control *control, int id);

/* Removes the device.  Does not wait for the last opener of /dev/ublkbN, which
   keeps the number taken. */
int control_del_async(struct control *control, int id);

/* -EBUSY: the dead server's I/O is not over yet, try again. */
int control_start_recovery(struct control *control, int id);
int control_end_recovery(struct control *control, int id, int pid);

#endif /* CONTROL_H */
