// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The clerk, at work for its server.
 *
 * The server may be another's by now.  So the server's orders name no device
 * but its own; the clerk compares the nonce itself, and gives the driver the
 * pid of the process that forked it.  It judges the names of files
 * (clerk-grants.c), and reads none of the files.
 *
 * The clerk holds /dev/ublk-control, its socket, a directory (node.c), the
 * server's ring, and nothing else: a file that it opens for the server it has
 * closed before it answers, so that no lock on the image is its own (R14).
 *
 * START_DEV and END_USER_RECOVERY wait until the server has fetched.  A server
 * that dies before must not leave such a command behind, for the fetches of
 * the next server would complete it.  A thread of the clerk sees the end of
 * the server and ends the clerk, and the command with it.  The end of the
 * socket does not do: a server can send its own end along, and then the clerk
 * itself holds that.  (Nor does a signal at the parent's death: a server
 * without privileges has no right to send it.)
 *
 * A server that dies after it has fetched must not see such a command begin
 * when its death is over.  A driver of 6.12 takes the fetches back at the end
 * of their ring, and begins to hold all requests back.  Then the command would
 * make the device live, with all its requests held back for ever, and no server
 * could take it over.  So the clerk has the ring: the kernel takes the fetches
 * back when the clerk, too, has let go of it.  The clerk does so after the
 * command, or by its own end; and that end waits for a command that has begun,
 * since the thread of the kernel that executes it shares the descriptors.
 * Somebody may have stopped the clerk, which would keep the ring, and the fence
 * with it.  So the supervisor kills what is left of a dead server's group.
 *
 * Each of these two orders is the last one.  Before the server fetches it ends
 * all others, so the clerk does nothing else any more when a guest's bytes
 * come, which some drivers hand over before the recovery has ended.
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <unistd.h>
#include "plugin/common/process.h"
#include "plugin/server/aftermath.h"
#include "plugin/server/clerk-inside.h"
#include "plugin/server/control.h"
#include "plugin/server/device.h"
#include "plugin/server/fault.h"
#include "plugin/server/node.h"
#include "plugin/server/server.h"
#include "qcow/bits.h"

struct desk {
	struct control *control;
	int socket;
	int ring; /* the server's */
	pid_t server;
	int pidfd; /* the server's */
	uint64_t nonce;
	int id; /* of the device; -1 before the first look */
	int nodes;
	bool ending; /* only the last order may come */
	bool recovers;
	bool waits_for_driver;
	struct aftermath aftermath;
	struct clerk_files *files;
};

static int look(struct desk *desk, int id, struct clerk_view *view)
{
	struct ublksrv_ctrl_dev_info info;
	int ret = control_get_info(desk->control, id, &info);

	if (ret < 0)
		return ret;
	if (!device_is_ours(&info, desk->nonce))
		return -EXDEV;
	view->info = info;
	desk->id = id;
	return control_get_params(desk->control, id, &view->params);
}

static int start_device(const struct desk *desk, int *timeout)
{
	int ret = control_start(desk->control, desk->id, desk->server);

	/* The rest may have to wait for the next server. */
	close(desk->ring);
	if (ret)
		return ret;
	*timeout = device_set_timeout(desk->id);
	device_set_scheduler(desk->id); /* a matter of speed only */
	return 0;
}

/* As the kernel has it: the server may say anything. */
static int find_user(pid_t pid, unsigned int *user)
{
	char path[32], line[256];
	int ret = -ESRCH;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	file = fopen(path, "re");
	if (!file)
		return -errno;
	while (ret && fgets(line, sizeof(line), file))
		if (sscanf(line, "Uid: %u", user) == 1)
			ret = 0;
	fclose(file);
	return ret;
}

static int make_node(const struct desk *desk)
{
	unsigned int user;
	int ret = find_user(desk->server, &user);

	return ret ? ret : node_make(desk->nodes, desk->id, user);
}

static bool is_last(enum action action)
{
	return action == START_DEVICE || action == END_RECOVERY;
}

static int start_recovery(struct desk *desk)
{
	int ret = device_start_recovery(desk->control, desk->id, desk->nonce);

	/* The server fetches next. */
	if (!ret && desk->waits_for_driver)
		aftermath_await(&desk->aftermath);
	return ret;
}

static int command_driver(struct desk *desk, const struct order *order,
			  struct answer *answer)
{
	if (desk->id < 0)
		return -EINVAL;
	if (is_last(order->action))
		fault_of_order(desk->pidfd);
	switch (order->action) {
	case START_RECOVERY:
		return start_recovery(desk);
	case START_DEVICE:
		return start_device(desk, &answer->timeout);
	case END_RECOVERY:
		return control_end_recovery(desk->control, desk->id,
					    desk->server);
	case MAKE_NODE:
		return make_node(desk);
	default:
		return -EINVAL;
	}
}

static int execute(struct desk *desk, const struct order *order,
		   const struct packet *with, struct look_answer *look_answer,
		   int *fd)
{
	struct answer *answer = &look_answer->answer;

	if (desk->ending && !is_last(order->action))
		return -EPERM;
	if (order->action == END_ORDERS) {
		desk->ending = true;
		return 0;
	}
	if (order->action == LOOK)
		return look(desk, order->id, &look_answer->view);
	if (order->action < LOOK_AT_FILE)
		return command_driver(desk, order, answer);
	return clerk_files_execute(desk->files, order, with, answer, fd);
}

static void *watch_server(void *opaque)
{
	const struct desk *desk = opaque;
	struct pollfd ends[] = {
		{ .fd = desk->socket },
		{ .fd = desk->pidfd, .events = POLLIN },
	};

	while (poll(ends, ARRAY_SIZE(ends), -1) < 0 && errno == EINTR)
		;
	/* The other thread may be faster. */
	if (fault("late-order"))
		sleep(1);
	_exit(EXIT_SUCCESS);
}

static void serve_order(struct desk *desk, const struct order *order,
			struct packet *with)
{
	struct look_answer answer = { 0 };
	int fd = -1;

	answer.answer.result = execute(desk, order, with, &answer, &fd);
	orders_answer(desk->socket, with, &answer.answer,
		      order->action == LOOK ? sizeof(answer) :
					      sizeof(answer.answer),
		      fd);
}

static void __attribute__((noreturn)) work(struct desk *desk)
{
	struct answer answer = { 0 };
	struct packet with;
	struct order order;

	answer.result = control_open(&desk->control);
	if (!answer.result &&
	    control_get_features(desk->control, &answer.features))
		answer.features = 0;
	if (desk->nodes >= 0)
		orders_hand_over(desk->socket, desk->nodes);
	orders_answer(desk->socket, NULL, &answer, sizeof(answer), -1);
	desk->waits_for_driver = desk->recovers &&
				 aftermath_matters(answer.features);
	/* In any case, for the end of this process. */
	aftermath_begin(&desk->aftermath, AFTERMATH_FILE);
	do {
		/* The order of a dead server is of no use, and may harm the
		   next one: a journal that it had removed is the next one's by
		   now. */
		if (!orders_receive(desk->socket, &order, &with) ||
		    process_wait(desk->pidfd, 0))
			break;
		serve_order(desk, &order, &with);
	} while (!is_last(order.action));
	_exit(EXIT_SUCCESS);
}

/* The server's files must not keep the host from unmounting their file system
   when the disk is gone; the kernel closes them late (queues.c).  The host's
   own unmounts and mounts reach us, if they are shared: see confine.c and
   aftermath.c for the others.  A host may forbid the step. */
static void leave_mounts(void)
{
	if (unshare(CLONE_NEWNS) < 0)
		return;
	/* Our mounts must not reach the host. */
	if (mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) < 0)
		_exit(EXIT_FAILURE);
}

void clerk_work(const struct server_config *config,
		const struct qcow_references *references, pid_t server,
		int ring, int socket)
{
	struct desk desk = {
		.socket = socket,
		.ring = ring,
		.server = server,
		.nonce = config->nonce,
		.id = -1,
		.recovers = config->recover,
	};
	pthread_t watcher;

	process_fresh(socket, ring);
	prctl(PR_SET_NAME, "clerk");
	leave_mounts();
	/* The recovery of a disk must not wait for pages on that disk. */
	mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT);
	desk.nodes = node_directory();
	desk.pidfd = pidfd_open(server, 0);
	desk.files = clerk_files(config, references);
	if (desk.pidfd < 0 || getppid() != server || !desk.files ||
	    pthread_create(&watcher, NULL, watch_server, &desk))
		_exit(EXIT_FAILURE);
	desk.files->server = desk.pidfd;
	work(&desk);
}
