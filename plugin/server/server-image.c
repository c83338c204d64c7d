// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The server's image: opened, told of, closed.
 *
 * The engine opens it beside the supervisor's locks and fences out a dead
 * predecessor (R14).  By then the server has no names of files; the clerk opens
 * them (P6).  The supervisor then learns the image's size and which
 * files it consists of, since the supervisor makes the device and holds locks
 * on these files, too.
 *
 * In recovery the files are known, and the admin's rules for the names in an
 * image are not read once more.  So a new mistake in the rules does not keep a
 * served disk from being recovered.
 *
 * The server tells the cause of a failure, too.  Some causes last until an
 * admin mends something, and the supervisor does not start server after server
 * for these.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "plugin/common/channel.h"
#include "plugin/common/references.h"
#include "plugin/server/fault.h"
#include "plugin/server/owned.h"
#include "plugin/server/server-inside.h"
#include "qcow/resize.h"

static void engine_notice(void *opaque, const char *line)
{
	const struct server *server = opaque;

	channel_notice(server->channel, "%s", line);
}

/* An image that is gone, or another, or of a kind that is refused, stays so
   until an admin mends that.  A lock, a failed read or a lack of memory may
   pass. */
static enum failure_cause cause_of(int error)
{
	switch (-error) {
	case EACCES:
	case EINVAL:
	case EISDIR:
	case ELOOP:
	case ENAMETOOLONG:
	case ENOENT:
	case ENOKEY:
	case ENOTDIR:
	case ENOTSUP:
	case EPERM:
	case EROFS:
	case ESTALE:
	case EUCLEAN:
		return CAUSE_LASTING;
	case EBUSY:
		return CAUSE_IN_USE;
	default:
		return CAUSE_PASSING;
	}
}

int server_read_references(const struct server *server,
			   struct qcow_references *references)
{
	const struct server_config *config = server->config;
	struct qcow_error error;
	int ret = 0;

	*references = (struct qcow_references){ .none = true };
	if (!config->layers)
		ret = references_read(config->options, references, &error);
	return ret ? channel_fail(server->channel, cause_of(ret), "%s",
				  error.text) :
		     0;
}

static bool supervisor_lives(void *opaque)
{
	const struct server *server = opaque;

	owned_opening(server->channel, clerk_names(server->clerk),
		      server->config->image);
	return channel_is_held(server->channel);
}

/* If the image cannot grow it is served as it is. */
static void grow(const struct server *server)
{
	const uint64_t size = server->config->grow;
	struct qcow_error error;

	if (size > qcow_size(server->image) &&
	    qcow_grow(server->image, size, &error) < 0)
		channel_notice(server->channel,
			       "the image cannot grow to %llu bytes: %s",
			       (unsigned long long)size, error.text);
}

/* An image that cannot be merged is served all the same. */
static int open_image(struct server *server, struct qcow_options *options,
		      struct qcow_error *error)
{
	const char *path = server->config->image;

	options->merge_into = server->config->merge_into;
	if (options->merge_into &&
	    !qcow_open(path, options, &server->image, &server->not_merged))
		return 0;
	options->merge_into = 0;
	return qcow_open(path, options, &server->image, error);
}

int server_open_image(struct server *server)
{
	const struct server_config *config = server->config;
	struct qcow_options options = {
		.read_only = config->options->read_only,
		.cache = config->options->writeback ? QCOW_CACHE_WRITEBACK :
						      QCOW_CACHE_NONE,
		.locking = QCOW_LOCK_JOIN, /* R14: the supervisor has tested */
		.holder_lives = supervisor_lives,
		.unbroken = config->unbroken,
		.identity = config->identity,
		.layers = config->layers,
		.nr_layers = config->nr_layers,
		.key_file = disk_key_file(config->options),
		.cache_size = config->options->cache_size,
		.force = config->force,
		.names = clerk_names(server->clerk), /* P6 */
		.journal_stays = true, /* there is no clerk by then */
		.notice = engine_notice,
		.opaque = server,
	};
	struct qcow_error error;
	int ret;

	fault_options(&options);
	ret = open_image(server, &options, &error);
	if (ret < 0)
		return channel_fail(server->channel, cause_of(ret), "%s",
				    error.text);
	grow(server);
	if (options.merge_into)
		server_create_merger(server);
	server_begin_unmerged(server);
	return 0;
}

/* The supervisor locks these as we do, so that no other process gets at them
   when we are dead (P4). */
static unsigned int tell_layers(const struct server *server)
{
	struct qcow_layer layers[QCOW_FILES_MAX];
	struct server_message message = { .type = SERVER_LAYER };
	unsigned int i, count;

	if (server->config->layers)
		return 0;
	count = qcow_layers(server->image, layers, QCOW_FILES_MAX);
	for (i = 0; i < count; i++) {
		message.identity = layers[i].identity;
		message.read_only = !layers[i].written;
		snprintf(message.text, sizeof(message.text), "%s",
			 layers[i].path);
		channel_send_surely(server->channel, &message);
	}
	return count;
}

void server_tell_opened(const struct server *server)
{
	struct server_message message = {
		.type = SERVER_OPENED,
		.layers = tell_layers(server),
		.size = qcow_size(server->image),
		.cluster_size = qcow_cluster_size(server->image),
		.alignment = qcow_alignment(server->image),
		.read_only = qcow_read_only(server->image),
	};

	qcow_identify(server->image, &message.identity);
	channel_send(server->channel, &message);
}

int server_close_image(const struct server *server)
{
	int ret = qcow_close(server->image);

	if (ret < 0)
		return channel_fail(
			server->channel, CAUSE_PASSING,
			"cannot close the image: %s; its journal holds the "
			"rest, and the next server writes that to the image",
			strerror(-ret));
	return 0;
}
