// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The server that merges its image into the one below, until it is done.
 *
 * Until then the image has all there is of the disk: a death of the server, or
 * a merge that cannot go on, loses nothing.  When the merger says that little
 * is left, the I/O threads stop, as if a debugger held them: they have no
 * request under way, and have told the driver of none that they did not begin.
 * So the driver sees a death like any other (P5), and the image an end in good
 * order.  The order is:
 *
 *	finish		the layer holds the disk, durably
 *	close		image and layer, which leaves nothing to replay
 *	tell		the supervisor may serve the layer
 *	exit		with status 0, or the supervisor does not believe it
 *
 * No ring and no /dev/ublkcN is closed before the exit.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "plugin/common/channel.h"
#include "plugin/server/merger.h"
#include "plugin/server/server-inside.h"

static void tell(const struct server *server, enum server_message_type type,
		 const char *text)
{
	struct server_message message = { .type = type };

	snprintf(message.text, sizeof(message.text), "%s", text);
	channel_send_surely(server->channel, &message);
}

void server_create_merger(struct server *server)
{
	const struct server_config *config = server->config;

	merger_create(server->image, server->channel, config->merge_rate,
		      &config->kept, &server->merger, &server->not_merged);
}

void server_begin_unmerged(const struct server *server)
{
	/* P1: nobody notes the writes of its users. */
	if (!server->merger)
		qcow_merge_forget(&server->config->kept);
}

void server_begin_merge(struct server *server)
{
	if (server->merger)
		merger_begin(server->merger, &server->queues);
	else if (server->config->merge_into)
		tell(server, SERVER_NOT_MERGED, server->not_merged.text);
}

void server_end_merger(struct server *server)
{
	merger_end(server->merger);
	server->merger = NULL;
}

static int finish(struct server *server, struct qcow_error *error)
{
	int ret = merger_finish(server->merger, error);

	server_end_merger(server);
	if (!ret)
		ret = qcow_close(server->image);
	if (ret && !*error->text)
		snprintf(error->text, sizeof(error->text),
			 "closing the image: %s", strerror(-ret));
	return ret;
}

void server_finish_merge(struct server *server)
{
	struct qcow_error error = { "" };

	if (finish(server, &error)) {
		tell(server, SERVER_NOT_MERGED, error.text);
		_exit(EXIT_FAILURE);
	}
	tell(server, SERVER_MERGED, "");
	_exit(EXIT_SUCCESS);
}
