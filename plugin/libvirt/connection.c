// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The connection to libvirt.
 *
 * Disks are on this host, so libvirt must be on this host, too: the images
 * here say nothing about the domains of another host.
 */
#include <libvirt/virterror.h>
#include <stdlib.h>
#include <string.h>

#include "plugin/libvirt/connection.h"
#include "plugin/common/log.h"

/* libvirt prints errors itself unless it has another function for them. */
static void say_nothing(void *opaque, virErrorPtr error)
{
	(void)opaque;
	(void)error;
}

const char *connection_error(void)
{
	const char *text = virGetLastErrorMessage();

	return text ? text : "no reason given";
}

/* scheme:///path, without a host. */
static bool is_local(virConnectPtr connection)
{
	char *uri = virConnectGetURI(connection);
	const char *host = uri ? strstr(uri, "://") : NULL;
	const bool local = !host || host[3] == '/';

	free(uri);
	return local;
}

virConnectPtr connection_try(const char *uri)
{
	virSetErrorFunc(NULL, say_nothing);
	return virConnectOpen(uri);
}

virConnectPtr connection_open(const char *uri)
{
	virConnectPtr connection;

	if (!uri)
		uri = getenv("LIBVIRT_DEFAULT_URI");
	if (!uri)
		uri = CONNECTION_URI;
	connection = connection_try(uri);
	if (!connection) {
		complain("%s: %s", uri, connection_error());
		return NULL;
	}
	if (!is_local(connection)) {
		complain("%s: is another host's libvirt; run this there", uri);
		virConnectClose(connection);
		return NULL;
	}
	return connection;
}

virDomainPtr connection_domain(virConnectPtr connection, const char *name)
{
	virDomainPtr domain = virDomainLookupByName(connection, name);

	if (!domain)
		domain = virDomainLookupByUUIDString(connection, name);
	if (!domain)
		complain("%s: no such domain; see 'virsh list --all'", name);
	return domain;
}
