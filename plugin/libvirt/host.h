/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The files and devices that the domains of a host use.
 */
#ifndef HOST_H
#define HOST_H

#include <libvirt/libvirt.h>
#include <stdbool.h>
#include <stddef.h>

struct host {
	struct host_path {
		char *domain; /* its name */
		char *path;
	} * paths;
	size_t nr_paths;
};

/* Adds a path that a domain uses; -ENOMEM. */
int host_add(struct host *host, const char *domain, const char *path);

/* Asks libvirt about all domains, those that run and those that are defined;
   host_free() frees the host, also after an error.  Returns:
   0		*host is filled in
   -EIO		libvirt failed, see connection_error()
   -ENOMEM */
int host_read(virConnectPtr connection, struct host *host);

void host_free(struct host *host);

/* The name of a domain other than this one that uses this very file, by any
   path; or NULL. */
const char *host_user(const struct host *host, const char *path,
		      const char *domain);

/* Does any domain use this path, as text? */
bool host_has(const struct host *host, const char *path);

#endif /* HOST_H */
