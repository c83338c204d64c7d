// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The server, from its start to its end.
 *
 * The main thread opens the image, brings the device to life, and then waits
 * for the I/O thread to end; START_DEV and END_USER_RECOVERY block until the
 * I/O thread has fetched, and START_DEV reads the disk, so the two must not
 * be one.
 *
 * In recovery, everything that can fail or take long comes before
 * START_USER_RECOVERY: the image is open, fenced (R14) and replayed (R11),
 * the ring and the buffers exist.  A driver of 7.x delivers requests as soon
 * as they are fetched; a driver of 6.12 is better not left by a server that
 * dies between that command and the last FETCH.
 *
 * To die is the way out of all trouble once the device lives: nothing is
 * lost by it (P1) and the supervisor starts the next server.
 *
 * Whatever goes wrong is told here, in one message to the supervisor (P7).
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>
#include "plugin/common/channel.h"
#include "plugin/server/control.h"
#include "plugin/server/device.h"
#include "plugin/server/fault.h"
#include "plugin/server/queue.h"
#include "plugin/common/references.h"
#include "plugin/server/server.h"

struct server {
	const struct server_config *config;
	int channel;
	struct qcow_image *image;
	struct control *control;
	struct ublksrv_ctrl_dev_info info;
	struct queue *queue;
	struct device device;
	pthread_t io_thread;
};

static void engine_notice(void *opaque, const char *line)
{
	const struct server *server = opaque;

	channel_notice(server->channel, "%s: %s", server->config->image, line);
}

/* An image that is gone, or another, or of a kind that is refused, stays so
   until somebody does something.  What is in use, cannot be read or finds no
   memory may be better off in a moment. */
static enum server_cause cause_of(int error)
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
	default:
		return CAUSE_PASSING;
	}
}

/* The process */

static void warn_of_waits(const struct server *server, const char *what)
{
	channel_notice(server->channel,
		       "%s: the server cannot %s: %s; it may have to wait "
		       "when memory is short",
		       server->config->image, what, strerror(errno));
}

/*
 * The host may wait for this process to get rid of dirty memory, so it must
 * not wait for memory itself.  A core dump would keep /dev/ublkcN open for as
 * long as it takes to write; a limit of 0 does not prevent one that goes
 * through a pipe, not being dumpable does.
 */
static void set_up_process(const struct server *server)
{
	static const struct rlimit no_core = { 0, 0 };

	setrlimit(RLIMIT_CORE, &no_core);
	prctl(PR_SET_DUMPABLE, 0);
	signal(SIGPIPE, SIG_IGN);
	/* Who ends a machine sends it to every process; when our time has
	   come is for the supervisor to say. */
	signal(SIGTERM, SIG_IGN);
	if (prctl(PR_SET_IO_FLUSHER, 1, 0, 0, 0) < 0)
		warn_of_waits(server, "become an I/O flusher");
	if (mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT) < 0)
		warn_of_waits(server, "lock its memory");
}

/* The driver and the image */

static int open_control(struct server *server)
{
	int ret = control_open(&server->control);

	if (ret == -ENOENT)
		return channel_fail(server->channel, CAUSE_PASSING,
				    "%s: the ublk driver is not loaded; try "
				    "'modprobe ublk_drv'",
				    UBLK_CONTROL_PATH);
	if (ret == -EPERM)
		return channel_fail(server->channel, CAUSE_LASTING,
				    "%s: io_uring is disabled; see "
				    "'sysctl kernel.io_uring_disabled'",
				    UBLK_CONTROL_PATH);
	if (ret < 0)
		return channel_fail(server->channel, CAUSE_PASSING, "%s: %s",
				    UBLK_CONTROL_PATH, strerror(-ret));
	return 0;
}

static bool supervisor_lives(void *opaque)
{
	const struct server *server = opaque;

	return channel_is_held(server->channel);
}

static int open_image(struct server *server)
{
	const struct server_config *config = server->config;
	struct qcow_references references;
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
		.references = &references,
		.force = config->force,
		.notice = engine_notice,
		.opaque = server,
	};
	struct qcow_error error;
	int ret = references_read(config->options, &references, &error);

	if (ret < 0)
		return channel_fail(server->channel, cause_of(ret), "%s: %s",
				    config->image, error.text);
	fault_options(&options);
	ret = qcow_open(config->image, &options, &server->image, &error);
	references_free(&references);
	if (ret < 0)
		return channel_fail(server->channel, cause_of(ret), "%s: %s",
				    config->image, error.text);
	return 0;
}

/* Who supervises us holds locks on these as we do, so that nobody else gets
   at them when we are dead. */
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

static void tell_opened(const struct server *server)
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

static int close_image(const struct server *server)
{
	int ret = qcow_close(server->image);

	if (ret < 0)
		return channel_fail(
			server->channel, CAUSE_PASSING,
			"%s: cannot close the image: %s; what is missing "
			"in it is in its journal, and the next server "
			"brings it home",
			server->config->image, strerror(-ret));
	return 0;
}

/* The device: finding it */

static int device_failed(const struct server *server, const char *what,
			 int error)
{
	return channel_fail(server->channel, CAUSE_PASSING,
			    "/dev/ublkb%d: %s: %s", server->info.dev_id, what,
			    strerror(-error));
}

/* Waits until the supervisor has added the device. */
static int await_device(const struct server *server, int *id)
{
	struct server_message message;

	if (channel_receive(server->channel, &message) < 0 ||
	    message.type != SUPERVISOR_ADDED)
		return channel_fail(server->channel, CAUSE_PASSING,
				    "%s: the supervisor gave no device",
				    server->config->image);
	*id = message.dev_id;
	return 0;
}

static int not_ours(const struct server *server)
{
	int id = server->info.dev_id;

	return channel_fail(server->channel, CAUSE_LASTING,
			    "/dev/ublkb%d: is another program's device; ours "
			    "was deleted, and its number given away",
			    id);
}

static int find_device(struct server *server)
{
	int id = server->config->dev_id;
	int ret;

	if (!server->config->recover && await_device(server, &id) < 0)
		return -1;
	server->info.dev_id = id;
	ret = control_get_info(server->control, id, &server->info);
	if (ret < 0)
		return device_failed(server, "cannot be found", ret);
	if (!device_is_ours(&server->info, server->config->nonce))
		return not_ours(server);
	return 0;
}

/* A device cannot change its size in recovery; its image may have. */
static int check_size(const struct server *server)
{
	uint64_t size = qcow_size(server->image);
	struct ublk_params params;
	int id = server->info.dev_id;
	int ret;

	ret = control_get_params(server->control, id, &params);
	if (ret < 0)
		return device_failed(server, "cannot read its size", ret);
	if (params.basic.dev_sectors > size / QCOW_SECTOR)
		return channel_fail(
			server->channel, CAUSE_LASTING,
			"%s: is smaller than its device /dev/ublkb%d; "
			"give it back its former size",
			server->config->image, id);
	return 0;
}

/* The device: taking it over */

static int start_recovery(const struct server *server)
{
	int id = server->info.dev_id;
	int ret = device_start_recovery(server->control, id,
					server->config->nonce);

	if (ret == -EXDEV)
		return not_ours(server);
	if (ret == -ESHUTDOWN)
		return channel_fail(
			server->channel, CAUSE_LASTING,
			"/dev/ublkb%d: is stopped, there is nothing to "
			"recover; delete it",
			id);
	if (ret < 0)
		return device_failed(server, "cannot be recovered", ret);
	return 0;
}

/* The device: bringing it to life */

static int create_queue(struct server *server)
{
	int ret = queue_create(&server->info, server->image, &server->queue);

	if (ret < 0)
		return channel_fail(
			server->channel, CAUSE_PASSING,
			"/dev/ublkb%d: cannot make %u queues of depth "
			"%u: %s",
			server->info.dev_id, server->info.nr_hw_queues,
			server->info.queue_depth, strerror(-ret));
	return 0;
}

static int open_device(struct server *server)
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
		return device_failed(server, "cannot be opened", ret);
	ret = queue_attach(server->queue, &server->device);
	if (ret < 0) {
		device_close(&server->device);
		return device_failed(server, "cannot be registered", ret);
	}
	return 0;
}

static void *io_thread(void *opaque)
{
	const struct server *server = opaque;
	int ret = queue_run(server->queue);

	if (ret == -EOWNERDEAD)
		channel_fail(server->channel, CAUSE_PASSING,
			     "%s: the process that reads its legacy image was "
			     "killed",
			     server->config->image);
	else if (ret < 0)
		device_failed(server, "its queues failed", ret);
	if (ret < 0)
		_exit(EXIT_FAILURE);
	return NULL;
}

static int start_device(const struct server *server)
{
	int id = server->info.dev_id;
	int ret;

	ret = control_start(server->control, id, getpid());
	if (ret < 0)
		return device_failed(server, "cannot be started", ret);
	ret = device_set_timeout(id);
	if (ret < 0)
		channel_notice(
			server->channel,
			"/dev/ublkb%d: cannot set its timeout: %s; recovery "
			"may take half a minute",
			id, strerror(-ret));
	return 0;
}

static int end_recovery(const struct server *server)
{
	int ret;

	ret = control_end_recovery(server->control, server->info.dev_id,
				   getpid());
	if (ret < 0)
		return device_failed(server, "cannot be resumed", ret);
	return 0;
}

static void tell_live(const struct server *server)
{
	const struct server_message message = {
		.type = SERVER_LIVE,
		.dev_id = server->info.dev_id,
	};

	channel_send(server->channel, &message);
}

/* Its course: each function undoes itself on failure, as far as that can be */

static int serve(struct server *server)
{
	int ret;

	ret = pthread_create(&server->io_thread, NULL, io_thread, server);
	if (ret)
		return channel_fail(server->channel, CAUSE_PASSING,
				    "%s: cannot start a thread: %s",
				    server->config->image, strerror(ret));
	/* From here on the tags are the I/O thread's; only to die is safe. */
	if (server->config->recover)
		ret = end_recovery(server);
	else
		ret = start_device(server);
	if (ret < 0)
		_exit(EXIT_FAILURE);
	tell_live(server);
	pthread_join(server->io_thread, NULL);
	return 0;
}

static int attach_and_serve(struct server *server)
{
	int ret;

	if (server->config->recover && start_recovery(server) < 0)
		return -1;
	if (open_device(server) < 0)
		return -1;
	ret = serve(server);
	device_close(&server->device);
	return ret;
}

static int find_and_serve(struct server *server)
{
	int ret = find_device(server);

	if (!ret && server->config->recover)
		ret = check_size(server);
	if (!ret)
		ret = create_queue(server);
	if (ret < 0)
		return ret;
	ret = attach_and_serve(server);
	queue_destroy(server->queue);
	return ret;
}

static int open_and_serve(struct server *server)
{
	int served;

	if (open_image(server) < 0)
		return -1;
	tell_opened(server);
	served = find_and_serve(server);
	if (close_image(server) < 0)
		return -1;
	return served;
}

int server_run(const struct server_config *config)
{
	struct server server = {
		.config = config,
		.channel = config->channel,
	};
	int served;

	set_up_process(&server);
	if (open_control(&server) < 0)
		return EXIT_FAILURE;
	served = open_and_serve(&server);
	control_close(server.control);
	return served < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
