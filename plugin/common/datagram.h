/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Datagrams to the daemons of the system's log.
 */
#ifndef DATAGRAM_H
#define DATAGRAM_H

#include <stddef.h>

/* Sends to the socket at that path, and waits a moment if need be.  Returns:
   -ENOENT, -ECONNREFUSED	nobody listens there
   -EAGAIN			the daemon takes nothing at the moment
   or another -errno. */
int datagram_send(const char *path, const void *data, size_t length);

#endif /* DATAGRAM_H */
