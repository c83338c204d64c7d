/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The node of a device, for a server that has no path to /dev.
 */
#ifndef NODE_H
#define NODE_H

/* Makes a directory that has no path anywhere, for nodes of devices.  Returns
   a descriptor, or -errno: this host has no such directory, or not for us. */
int node_directory(void);

/* Waits until the driver has made /dev/ublkcN, and puts a node of that device
   into the directory, which every process with the directory may open.  Without
   a directory, -1, the node in /dev becomes the user's.  0 or -errno. */
int node_make(int directory, int id, unsigned int user);

/* Opens the node, patient for a while with one that is still being closed
   (-EBUSY).  Returns a descriptor or -errno. */
int node_open(int directory, int id);

#endif /* NODE_H */
