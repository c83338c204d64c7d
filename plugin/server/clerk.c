// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The clerk holds /dev/ublk-control for a server.
 *
 * A server reads an image and a guest's bytes, and may be taken over by either.
 * A process that holds /dev/ublk-control can command every ublk device of the
 * host.  So the server forks a clerk before it opens the image.  The server
 * sends orders that name no device but its own; the clerk compares the nonce
 * itself, and gives the driver the pid of the process that forked it.
 *
 * The clerk holds /dev/ublk-control, its socket, and nothing else: no lock on
 * the image (R14), and never /dev/ublkcN, which would keep the driver from
 * any recovery.
 *
 * START_DEV and END_USER_RECOVERY wait until the server has fetched.  A server
 * that dies before must not leave such a command behind, for the fetches of
 * the next server would complete it.  A thread of the clerk sees the end of
 * the server's socket and ends the clerk, and the command with it.  (A signal
 * at the parent's death would not do: a server without privileges has no right
 * to send it.)
 *
 * An order and its answer are one packet each.
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include "plugin/common/process.h"
#include "plugin/server/clerk.h"
#include "plugin/server/control.h"
#include "plugin/server/device.h"

enum action {
	LOOK,
	START_RECOVERY,
	START_DEVICE,
	END_RECOVERY,
};

struct order {
	enum action action;
	int id; /* LOOK */
};

struct answer {
	int result;
	int timeout;		/* START_DEVICE */
	struct clerk_view view; /* LOOK */
};

/* The server's side. */
struct clerk {
	pid_t pid;
	int socket;
};

/* The clerk's side. */
struct desk {
	struct control *control;
	int socket;
	pid_t server;
	uint64_t nonce;
	int id; /* of the device; -1 before the first look */
};

/* The clerk */

static int look(struct desk *desk, int id, struct clerk_view *view)
{
	int ret = control_get_info(desk->control, id, &view->info);

	if (ret < 0)
		return ret;
	if (!device_is_ours(&view->info, desk->nonce))
		return -EXDEV;
	desk->id = id;
	return control_get_params(desk->control, id, &view->params);
}

static int start_device(const struct desk *desk, int *timeout)
{
	int ret = control_start(desk->control, desk->id, desk->server);

	if (ret)
		return ret;
	*timeout = device_set_timeout(desk->id);
	device_set_scheduler(desk->id); /* a matter of speed only */
	return 0;
}

static int execute(struct desk *desk, const struct order *order,
		   struct answer *answer)
{
	if (order->action == LOOK)
		return look(desk, order->id, &answer->view);
	if (desk->id < 0)
		return -EINVAL;
	switch (order->action) {
	case START_RECOVERY:
		return device_start_recovery(desk->control, desk->id,
					     desk->nonce);
	case START_DEVICE:
		return start_device(desk, &answer->timeout);
	case END_RECOVERY:
		return control_end_recovery(desk->control, desk->id,
					    desk->server);
	default:
		return -EINVAL;
	}
}

static void answer_order(const struct desk *desk, const struct answer *answer)
{
	if (send(desk->socket, answer, sizeof(*answer), MSG_NOSIGNAL) < 0)
		_exit(EXIT_FAILURE);
}

static void *watch_server(void *opaque)
{
	const struct desk *desk = opaque;
	struct pollfd server = { .fd = desk->socket };

	while (poll(&server, 1, -1) < 0 && errno == EINTR)
		;
	_exit(EXIT_SUCCESS);
}

static void __attribute__((noreturn)) work(struct desk *desk)
{
	struct answer answer = { 0 };
	struct order order;

	answer.result = control_open(&desk->control);
	answer_order(desk, &answer);
	while (recv(desk->socket, &order, sizeof(order), 0) == sizeof(order)) {
		memset(&answer, 0, sizeof(answer));
		answer.result = execute(desk, &order, &answer);
		answer_order(desk, &answer);
	}
	_exit(EXIT_SUCCESS);
}

static void __attribute__((noreturn))
begin_work(uint64_t nonce, pid_t server, int socket)
{
	struct desk desk = {
		.socket = socket,
		.server = server,
		.nonce = nonce,
		.id = -1,
	};

	pthread_t watcher;

	process_fresh(socket, -1);
	prctl(PR_SET_NAME, "clerk");
	/* The recovery of a disk must not wait for pages on that disk. */
	mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT);
	if (pthread_create(&watcher, NULL, watch_server, &desk))
		_exit(EXIT_FAILURE);
	work(&desk);
}

/* The server */

static int hear(const struct clerk *clerk, struct answer *answer)
{
	ssize_t got;

	do
		got = recv(clerk->socket, answer, sizeof(*answer), 0);
	while (got < 0 && errno == EINTR);
	if (got < 0)
		return -errno;
	return got == sizeof(*answer) ? answer->result : -EPIPE;
}

static int give_order(const struct clerk *clerk, const struct order *order,
		      struct answer *answer)
{
	if (send(clerk->socket, order, sizeof(*order), MSG_NOSIGNAL) < 0)
		return -errno;
	return hear(clerk, answer);
}

/* An order without an argument, whose answer is a result. */
static int give_plain_order(const struct clerk *clerk, enum action action)
{
	const struct order order = { .action = action };
	struct answer answer;

	return give_order(clerk, &order, &answer);
}

static int fork_clerk(struct clerk *clerk, uint64_t nonce)
{
	const pid_t server = getpid();
	int ends[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
		return -errno;
	clerk->pid = fork();
	if (!clerk->pid)
		begin_work(nonce, server, ends[1]);
	close(ends[1]);
	clerk->socket = ends[0];
	if (clerk->pid > 0)
		return 0;
	close(clerk->socket);
	return -EAGAIN;
}

int clerk_start(uint64_t nonce, struct clerk **result)
{
	struct clerk *clerk = calloc(1, sizeof(*clerk));
	struct answer answer;
	int ret;

	if (!clerk)
		return -ENOMEM;
	ret = fork_clerk(clerk, nonce);
	if (ret < 0) {
		free(clerk);
		return ret;
	}
	ret = hear(clerk, &answer);
	if (ret < 0) {
		clerk_dismiss(clerk);
		return ret;
	}
	*result = clerk;
	return 0;
}

int clerk_look(struct clerk *clerk, int id, struct clerk_view *view)
{
	const struct order order = { .action = LOOK, .id = id };
	struct answer answer;
	int ret = give_order(clerk, &order, &answer);

	if (!ret)
		*view = answer.view;
	return ret;
}

int clerk_start_recovery(struct clerk *clerk)
{
	return give_plain_order(clerk, START_RECOVERY);
}

int clerk_start_device(struct clerk *clerk, int *timeout)
{
	const struct order order = { .action = START_DEVICE };
	struct answer answer;
	int ret = give_order(clerk, &order, &answer);

	if (!ret)
		*timeout = answer.timeout;
	return ret;
}

int clerk_end_recovery(struct clerk *clerk)
{
	return give_plain_order(clerk, END_RECOVERY);
}

void clerk_dismiss(struct clerk *clerk)
{
	/* The end of the socket ends the clerk. */
	close(clerk->socket);
	while (waitpid(clerk->pid, NULL, 0) < 0 && errno == EINTR)
		;
	free(clerk);
}
