// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The server's device: found, taken over, opened, brought to life.
 *
 * The supervisor has added the device, or it is there since a server before
 * this one.  Its number alone proves nothing: a device may be deleted, and
 * its number given to another program's.  The nonce that the driver keeps
 * with the device tells ours.
 */
#include <errno.h>
#include <string.h>
#include "plugin/common/channel.h"
#include "plugin/server/clerk.h"
#include "plugin/server/server-inside.h"

/* Finding it */

int server_device_failed(const struct server *server, const char *what,
			 int error)
{
	return channel_fail(server->channel, CAUSE_PASSING, "%s: %s", what,
			    strerror(-error));
}

/* Waits until the supervisor has added the device. */
static int await_device(const struct server *server, int *id)
{
	struct server_message message;

	if (channel_receive(server->channel, &message) < 0 ||
	    message.type != SUPERVISOR_ADDED)
		return channel_fail(server->channel, CAUSE_PASSING,
				    "the supervisor gave no device");
	*id = message.dev_id;
	return 0;
}

static int not_ours(const struct server *server)
{
	return channel_fail(server->channel, CAUSE_LASTING,
			    "the device is another program's; ours was "
			    "deleted, and its number given away");
}

static int open_failed(const struct server *server, int error)
{
	return server_device_failed(server, "the device cannot be opened",
				    error);
}

int server_find_device(struct server *server)
{
	int id = server->config->dev_id;
	int ret;

	if (!server->config->recover && await_device(server, &id) < 0)
		return -1;
	ret = clerk_look(server->clerk, id, &server->view);
	if (ret == -EXDEV)
		return not_ours(server);
	if (ret < 0)
		return server_device_failed(server,
					    "the device cannot be found", ret);
	ret = clerk_make_node(server->clerk);
	return ret < 0 ? open_failed(server, ret) : 0;
}

/* A device cannot change its size in recovery; its image may have. */
int server_check_size(const struct server *server)
{
	const struct ublk_params *params = &server->view.params;
	uint64_t size = qcow_size(server->image);

	if (params->basic.dev_sectors > size / QCOW_SECTOR)
		return channel_fail(
			server->channel, CAUSE_LASTING,
			"the image is smaller than its device; give it back "
			"its former size");
	return 0;
}

/* Taking it over */

int server_start_recovery(const struct server *server)
{
	int ret = clerk_start_recovery(server->clerk);

	if (ret == -EXDEV)
		return not_ours(server);
	if (ret == -ESHUTDOWN)
		return channel_fail(
			server->channel, CAUSE_LASTING,
			"the device is stopped, there is nothing to recover; "
			"delete it");
	if (ret < 0)
		return server_device_failed(
			server, "the device cannot be recovered", ret);
	return 0;
}

/* Bringing it to life */

int server_open_device(struct server *server)
{
	int id = server->view.info.dev_id;
	int ret = clerk_hear_owed(server->clerk);

	if (!ret)
		ret = device_open(&server->view.info,
				  clerk_nodes(server->clerk), &server->device);
	clerk_leave_nodes(server->clerk);
	if (ret == -EBUSY)
		return channel_fail(
			server->channel, CAUSE_PASSING,
			"/dev/ublkc%d: somebody holds it, or the driver "
			"lost it; nothing can serve it before that ends",
			id);
	if (ret < 0)
		return open_failed(server, ret);
	ret = queues_attach(&server->queues, &server->device);
	if (ret < 0) {
		device_close(&server->device);
		return server_device_failed(
			server, "the device cannot be registered", ret);
	}
	return 0;
}

int server_end_orders(const struct server *server)
{
	int ret = clerk_end_orders(server->clerk);

	return ret < 0 ?
		       server_device_failed(server, "the clerk is gone", ret) :
		       0;
}

int server_start_device(const struct server *server)
{
	int timeout;
	int ret = clerk_start_device(server->clerk, &timeout);

	if (ret < 0)
		return server_device_failed(
			server, "the device cannot be started", ret);
	if (timeout < 0)
		channel_notice(
			server->channel,
			"cannot set the timeout of the device: %s; recovery "
			"may take half a minute",
			strerror(-timeout));
	return 0;
}

int server_end_recovery(const struct server *server)
{
	int ret = clerk_end_recovery(server->clerk);

	if (ret < 0)
		return server_device_failed(
			server, "the device cannot be resumed", ret);
	queues_live(&server->queues);
	return 0;
}
