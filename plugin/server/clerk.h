/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The clerk: a child of the server that alone may command the driver and open
 * files by their names, and that is gone before the server reads a byte of a
 * guest.
 */
#ifndef CLERK_H
#define CLERK_H

#include <stdint.h>
#include "plugin/server/ublk_abi.h"

struct clerk;
struct qcow_names;
struct qcow_references;
struct server_config;

/* A device as the driver has it. */
struct clerk_view {
	struct ublksrv_ctrl_dev_info info;
	struct ublk_params params;
};

/* Starts a clerk for a disk, whose image may name these files, and whose tags
   will be fetched by this ring.  For the server's first thread, before there is
   another. */
int clerk_start(const struct server_config *config,
		const struct qcow_references *references, int ring,
		struct clerk **clerk);

/* Waits until it takes orders; comes before everything below.
   Returns: those of control_open(), or another -errno. */
int clerk_await(struct clerk *clerk);

/* Those of GET_FEATURES; 0: the driver does not tell. */
uint64_t clerk_features(const struct clerk *clerk);

/* The names for the open of the image, as long as there is a clerk. */
const struct qcow_names *clerk_names(const struct clerk *clerk);

/* Before the fall, the server of a known disk: opens the files with a fixed
   name that the open of the image asks for.  A matter of speed only. */
void clerk_hold_files(struct clerk *clerk, const struct server_config *config);

/* Looks at device id.  The later orders are for this device.
   -EXDEV: it is another program's. */
int clerk_look(struct clerk *clerk, int id, struct clerk_view *view);

/* Makes the driver ready for a successor of the dead server: see
   device_start_recovery(). */
int clerk_start_recovery(struct clerk *clerk);

/* Before the I/O threads fetch: from now on the clerk takes the last order
   alone, which is one of the two below.  That is in force at the return; a
   failure may be told by those two. */
int clerk_end_orders(struct clerk *clerk);

/* Each waits until the I/O threads have fetched.  *timeout is the result of
   device_set_timeout(). */
int clerk_start_device(struct clerk *clerk, int *timeout);
int clerk_end_recovery(struct clerk *clerk);

/* The directory for the device's node; -1: /dev, for this host has no other. */
int clerk_nodes(const struct clerk *clerk);

/* Lets the server open the device's node there, when clerk_hear_owed() has
   returned 0. */
int clerk_make_node(struct clerk *clerk);
int clerk_hear_owed(struct clerk *clerk);

/* Closes the directory. */
void clerk_leave_nodes(struct clerk *clerk);

/* Ends the clerk, and waits until it is dead. */
void clerk_dismiss(struct clerk *clerk);

#endif /* CLERK_H */
