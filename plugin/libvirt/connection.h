/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * libvirt, reached by its C API.
 */
#ifndef CONNECTION_H
#define CONNECTION_H

#include <libvirt/libvirt.h>

#define CONNECTION_URI "qemu:///system"

/* The reason why the last call of libvirt's failed: one line. */
const char *connection_error(void);

/* Connects to a libvirt; NULL: not possible, see connection_error(). */
virConnectPtr connection_try(const char *uri);

/* Connects to the libvirt of this host; uri NULL: the environment's
   LIBVIRT_DEFAULT_URI, or CONNECTION_URI.  NULL: not possible; the function
   has complained. */
virConnectPtr connection_open(const char *uri);

/* The domain of this name or uuid.  NULL: there is none; the function has
   complained. */
virDomainPtr connection_domain(virConnectPtr connection, const char *name);

#endif /* CONNECTION_H */
