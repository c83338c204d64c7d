// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The server, from its start to its end.
 *
 * The main thread opens the image, brings the device to life, and then waits
 * for the I/O threads to end (server-threads.c).  START_DEV reads the disk, so
 * the main thread cannot be one of them.
 *
 * In recovery, everything that can fail or take long comes before
 * START_USER_RECOVERY: the image is open, fenced (R14) and replayed (R11),
 * the ring and the buffers exist.  The users wait meanwhile.  So all that needs
 * no image is made while the supervisor writes its record, the clerk begins,
 * and the last writes of the dead server land.  A driver of 7.x delivers
 * requests as soon as they are fetched; a driver of 6.12 is better not left by
 * a server that dies between that command and the last FETCH.
 *
 * The server is confined before it opens the image (P6), and commands the
 * driver and opens files through a clerk.
 *
 * Once the device lives, a server that cannot go on dies: nothing is lost by
 * that (P1), and the supervisor starts the next server.
 *
 * Each failure is one message to the supervisor (P7).
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>
#include "plugin/common/channel.h"
#include "plugin/common/confinement.h"
#include "plugin/common/references.h"
#include "plugin/server/confine.h"
#include "plugin/server/dying.h"
#include "plugin/server/fault.h"
#include "plugin/server/owned.h"
#include "plugin/server/server-inside.h"

/* The process */

static void warn_of_waits(const struct server *server, const char *what)
{
	channel_notice(server->channel,
		       "the server cannot %s: %s; it may have to wait when "
		       "memory is short",
		       what, strerror(errno));
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
	static const struct rlimit no_limit = { RLIM_INFINITY, RLIM_INFINITY };

	setrlimit(RLIMIT_CORE, &no_core);
	/* The memory that is used here is small and scattered; but see
	   buffers.c. */
	prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0);
	prctl(PR_SET_DUMPABLE, 0);
	signal(SIGPIPE, SIG_IGN);
	/* The end of a machine sends it to every process; only the supervisor
	   ends a server. */
	signal(SIGTERM, SIG_IGN);
	if (prctl(PR_SET_IO_FLUSHER, 1, 0, 0, 0) < 0)
		warn_of_waits(server, "become an I/O flusher");
	/* Soon the limit counts for us; without the right to raise it, memory
	   would be refused. */
	if (setrlimit(RLIMIT_MEMLOCK, &no_limit) < 0 ||
	    mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT) < 0)
		warn_of_waits(server, "lock its memory");
	dying_prepare(server->channel);
}

static int tell_clerk(const struct server *server, int ret)
{
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

static int start_clerk(struct server *server)
{
	struct qcow_references references;
	int ret = server_read_references(server, &references);

	if (ret)
		return ret;
	ret = clerk_start(server->config, &references,
			  queues_ring(&server->queues), &server->clerk);
	references_free(&references);
	if (!ret && server->config->recover)
		clerk_hold_files(server->clerk, server->config);
	return tell_clerk(server, ret);
}

static int await_clerk(const struct server *server)
{
	return tell_clerk(server, clerk_await(server->clerk));
}

/* The queues */

static int queues_failed(const struct server *server, int error)
{
	return channel_fail(server->channel, CAUSE_PASSING,
			    "cannot make %u queues of depth %u: %s",
			    server->config->options->queues,
			    server->config->options->depth, strerror(-error));
}

/* Most disks have one, which the clerk is to have, too. */
static int create_ring(struct server *server)
{
	int ret = queues_rings(&server->queues, server->config->options, 1);

	/* The host forbids rings, the clerk's as well. */
	if (ret == -EPERM)
		return tell_clerk(server, ret);
	return ret < 0 ? queues_failed(server, ret) : 0;
}

static int create_rings(struct server *server)
{
	const struct server_config *config = server->config;
	const unsigned int threads = queues_threads(
		config->options, clerk_features(server->clerk),
		config->recover);
	int ret = 0;

	if (threads != 1)
		ret = queues_rings(&server->queues, config->options, threads);
	return ret < 0 ? queues_failed(server, ret) : 0;
}

static int create_queues(struct server *server)
{
	const struct server_config *config = server->config;
	int ret = queues_create(&server->queues, &server->view.info,
				&server->health, config->stats,
				config->options);

	if (ret < 0)
		return queues_failed(server, ret);
	queues_expect(&server->queues, &config->culprit, config->deaths);
	return 0;
}

static int open_queues(struct server *server)
{
	int ret = queues_open(&server->queues, server->image);

	return ret < 0 ? queues_failed(server, ret) : 0;
}

static void tell_live(const struct server *server)
{
	const struct server_message message = {
		.type = SERVER_LIVE,
		.dev_id = server->view.info.dev_id,
		.confinement = server->confinement,
	};

	channel_send(server->channel, &message);
}

/* The server's course: each function undoes its work on failure, if possible */

/* Says so only once; a recovery meets the same kernel. */
static int judge_confinement(const struct server *server)
{
	char missing[64];

	confinement_list(CONFINED_WHOLLY & ~server->confinement, missing,
			 sizeof(missing));
	if (!*missing)
		return 0;
	if (server->config->options->confined)
		return channel_fail(
			server->channel, CAUSE_LASTING,
			"this host cannot confine the server by %s, and the "
			"disk is to be served by a confined server only "
			"(--confined)",
			missing);
	if (!server->config->recover)
		channel_notice(server->channel,
			       "the server is confined without %s, which this "
			       "host does not have, or not for us",
			       missing);
	return 0;
}

static int confine_failed(const struct server *server, const char *step,
			  int error)
{
	return channel_fail(server->channel, CAUSE_PASSING,
			    "the server cannot %s: %s", step, strerror(-error));
}

/* P6: nothing of the image has been read yet. */
static int fall(struct server *server)
{
	const char *step;
	int ret = confine(clerk_nodes(server->clerk), &server->confinement,
			  &step);

	return ret ? confine_failed(server, step, ret) :
		     judge_confinement(server);
}

/* P6: and nothing of a guest's. */
static int fall_wholly(const struct server *server)
{
	const char *step;
	int ret = confine_wholly(&step);

	return ret ? confine_failed(server, step, ret) : 0;
}

static void go_live(struct server *server)
{
	int ret;

	if (server->config->recover)
		ret = server_end_recovery(server);
	else
		ret = server_start_device(server);
	if (ret < 0)
		_exit(EXIT_FAILURE);
	clerk_dismiss(server->clerk);
	if (fault("late-live"))
		sleep(1);
	tell_live(server);
}

static int serve(struct server *server)
{
	const struct server_config *config = server->config;

	server_enable_rings(server);
	if (fall_wholly(server) < 0 || server_end_orders(server) < 0)
		_exit(EXIT_FAILURE);
	server_let_fetch(server);
	go_live(server);
	if (!config->recover)
		owned_arm(server->channel);
	server_begin_merge(server);
	health_watch(&server->health, config->trouble, server->channel);
	if (server_has_left(server))
		server_finish_merge(server);
	server_join_threads(server);
	server_end_merger(server);
	return 0;
}

static int attach_and_serve(struct server *server)
{
	int ret;

	if (server->config->recover && server_start_recovery(server) < 0)
		return -1;
	if (server_open_device(server) < 0)
		return -1;
	ret = serve(server);
	device_close(&server->device);
	return ret;
}

/* All that needs a device, and no image. */
static int make_ready(struct server *server)
{
	int ret = server_find_device(server);

	if (!ret)
		ret = create_queues(server);
	return ret ? ret : server_start_threads(server);
}

static int find_and_serve(struct server *server)
{
	int ret = server->config->recover ? server_check_size(server) :
					    make_ready(server);

	if (!ret)
		ret = open_queues(server);
	if (ret < 0)
		return ret;
	ret = attach_and_serve(server);
	queues_destroy(&server->queues);
	return ret;
}

static int create_health(struct server *server)
{
	int ret = health_create(&server->health);

	if (ret < 0)
		return channel_fail(server->channel, CAUSE_PASSING,
				    "cannot make an eventfd: %s",
				    strerror(-ret));
	return 0;
}

/* The supervisor has written the record that names this process. */
static int await_begin(const struct server *server)
{
	char begin;

	return recv(server->channel, &begin, 1, 0) == 1 ? 0 : -1;
}

static int open_and_serve(struct server *server)
{
	int served;

	if (server->config->recover && make_ready(server) < 0)
		return -1;
	if (await_begin(server) < 0 || server_open_image(server) < 0)
		return -1;
	server_tell_opened(server);
	served = find_and_serve(server);
	server_end_merger(server);
	if (server_close_image(server) < 0)
		return -1;
	return served;
}

/* The clerk keeps the host's name spaces, but for a copy of its mounts. */
static int confine_and_serve(struct server *server)
{
	int ret = confine_prepare();

	if (ret)
		return channel_fail(server->channel, CAUSE_PASSING,
				    "the server cannot confine itself: %s",
				    strerror(-ret));
	if (create_health(server) < 0 || await_clerk(server) < 0 ||
	    create_rings(server) < 0 || fall(server) < 0)
		return -1;
	return open_and_serve(server);
}

int server_run(const struct server_config *config)
{
	struct server server = {
		.config = config,
		.channel = config->channel,
	};
	int served;

	server_prepare_threads(&server);
	set_up_process(&server);
	if (create_ring(&server) < 0 || start_clerk(&server) < 0)
		return EXIT_FAILURE;
	served = confine_and_serve(&server);
	return served < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
