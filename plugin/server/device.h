/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One ublk device: its looks to its users, and the server's side of it,
 * /dev/ublkcN.
 */
#ifndef DEVICE_H
#define DEVICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "plugin/server/control.h"
#include "plugin/server/ublk_abi.h"

/* The largest request, and the size of each tag's buffer. */
#define DEVICE_MAX_IO (512u << 10)

/* The needs of an image that its device must meet; in bytes. */
struct device_shape {
	uint64_t size;
	uint32_t cluster_size;
	uint32_t alignment;
	bool read_only;
};

/* The parameters for SET_PARAMS. */
void device_params(const struct device_shape *shape,
		   struct ublk_params *params);

/* The argument of ADD_DEV.  id -1 lets the driver choose; features are those
   of GET_FEATURES; the driver keeps nonce for us (ublksrv_flags). */
void device_add_info(int id, unsigned int queues, unsigned int depth,
		     uint64_t features, uint64_t nonce,
		     struct ublksrv_ctrl_dev_info *info);

/* -EOPNOTSUPP if ADD_DEV dropped a flag that recovery needs. */
int device_check_info(const struct ublksrv_ctrl_dev_info *info);

/* Numbers of devices are the driver's and are given away again; the nonce is
   ours. */
bool device_is_ours(const struct ublksrv_ctrl_dev_info *info, uint64_t nonce);

/* Makes the driver ready for a successor of the dead server.  Waits, for as
   long as it takes, for the dead one's I/O to end (P4).  Returns:
   0		a successor may come
   -ESHUTDOWN	the device was stopped
   -EXDEV	another device has its number
   or another -errno. */
int device_start_recovery(struct control *control, int id, uint64_t nonce);

struct device {
	int id;
	int fd; /* /dev/ublkcN */
	unsigned int queues;
	unsigned int depth;
	uint32_t max_io;		      /* bytes */
	size_t map_length;		      /* of each queue's descriptors */
	const struct ublksrv_io_desc **descs; /* [queue][tag] */
};

/* Opens the device's node in the directory nodes: see node_open(). */
int device_open(const struct ublksrv_ctrl_dev_info *info, int nodes,
		struct device *device);

/* Maps the descriptors of so many queues from the first one on; several threads
   may do so for queues of their own.  A driver of 6.12 then belongs to this
   process until the first queue has been fetched: see queue_fetch().  -EINVAL:
   it belongs to a dead one. */
int device_map(struct device *device, unsigned int first, unsigned int count);
void device_close(struct device *device);

/* Makes the driver of 6.12 notice within about two seconds that a server
   died while it held every tag of a queue.  For a new device only: it lasts,
   and it waits for the requests under way, so a server that dies meanwhile
   would wait for its own recovery. */
int device_set_timeout(int id);

/* Requests go to the server in the order in which they come.  The driver gives
   a device with one queue a scheduler, which costs more than it gains: the
   image's own disk has one, if that is of use.  For a new device only, as
   above. */
int device_set_scheduler(int id);

#endif /* DEVICE_H */
