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
#include <unistd.h>
#include "plugin/common/channel.h"
#include "plugin/server/control.h"
#include "plugin/server/queue.h"
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

int server_find_device(struct server *server)
{
	int id = server->config->dev_id;
	int ret;

	if (!server->config->recover && await_device(server, &id) < 0)
		return -1;
	server->info.dev_id = id;
	ret = control_get_info(server->control, id, &server->info);
	if (ret < 0)
		return server_device_failed(server,
					    "the device cannot be found", ret);
	if (!device_is_ours(&server->info, server->config->nonce))
		return not_ours(server);
	return 0;
}

/* A device cannot change its size in recovery; its image may have. */
int server_check_size(const struct server *server)
{
	uint64_t size = qcow_size(server->image);
	struct ublk_params params;
	int id = server->info.dev_id;
	int ret;

	ret = control_get_params(server->control, id, &params);
	if (ret < 0)
		return server_device_failed(
			server, "cannot read the size of the device", ret);
	if (params.basic.dev_sectors > size / QCOW_SECTOR)
		return channel_fail(
			server->channel, CAUSE_LASTING,
			"the image is smaller than its device; give it back "
			"its former size");
	return 0;
}

/* Taking it over */

int server_start_recovery(const struct server *server)
{
	int id = server->info.dev_id;
	int ret = device_start_recovery(server->control, id,
					server->config->nonce);

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
	int id = server->info.dev_id;
	int ret;

	ret = device_open(&server->info, &server->device);
	if (ret == -EBUSY)
		return channel_fail(
			server->channel, CAUSE_PASSING,
			"/dev/ublkc%d: somebody holds it, or the driver "
			"lost it; nothing can serve it before that ends",
			id);
	if (ret < 0)
		return server_device_failed(server,
					    "the device cannot be opened", ret);
	ret = queue_attach(server->queue, &server->device);
	if (ret < 0) {
		device_close(&server->device);
		return server_device_failed(
			server, "the device cannot be registered", ret);
	}
	return 0;
}

int server_start_device(const struct server *server)
{
	int id = server->info.dev_id;
	int ret;

	ret = control_start(server->control, id, getpid());
	if (ret < 0)
		return server_device_failed(
			server, "the device cannot be started", ret);
	ret = device_set_timeout(id);
	if (ret < 0)
		channel_notice(
			server->channel,
			"cannot set the timeout of the device: %s; recovery "
			"may take half a minute",
			strerror(-ret));
	return 0;
}

int server_end_recovery(const struct server *server)
{
	int ret;

	ret = control_end_recovery(server->control, server->info.dev_id,
				   getpid());
	if (ret < 0)
		return server_device_failed(
			server, "the device cannot be resumed", ret);
	return 0;
}
