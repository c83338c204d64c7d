// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The server's side of its clerk.
 *
 * A server reads an image and a guest's bytes, and may be taken over by either.
 * A process that holds /dev/ublk-control can command every ublk device of the
 * host, and one that may open files by their names can open all of root's.  So
 * the server forks a clerk (clerk-desk.c) and falls (confine.c) before it opens
 * the image, and gives orders from then on.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include "plugin/server/clerk-inside.h"

struct clerk {
	pid_t pid;
	int socket;
	int nodes;
	uint64_t features;
	struct qcow_names names;
};

/* *fd becomes a descriptor that came before the answer, if one did; NULL: none
   comes. */
static int hear(const struct clerk *clerk, struct answer *answer, int *fd)
{
	struct packet packet = {
		.bytes = answer,
		.length = sizeof(*answer),
	};
	ssize_t got;

	if (!fd)
		got = packet_receive_plain(clerk->socket, &packet);
	else
		while ((got = packet_receive(clerk->socket, &packet)) == 1)
			if (packet.nr_fds)
				*fd = packet.fds[0];
	if (got < 0)
		return got;
	return got == sizeof(*answer) ? answer->result : -EPIPE;
}

int clerk_give_order(const struct clerk *clerk, const struct order *order,
		     const struct packet *with, struct answer *answer)
{
	struct packet packet = with ? *with : (struct packet){ 0 };
	int fd = -1;
	int ret;

	packet.bytes = (void *)order;
	packet.length = sizeof(*order);
	ret = packet_send(clerk->socket, &packet);
	if (!ret)
		ret = hear(clerk, answer,
			   order->action < LOOK_AT_FILE ? NULL : &fd);
	return ret || fd < 0 ? ret : fd;
}

/* An order without an argument, whose answer is a result. */
static int give_plain_order(const struct clerk *clerk, enum action action)
{
	const struct order order = { .action = action };
	struct answer answer;

	return clerk_give_order(clerk, &order, NULL, &answer);
}

static int fork_clerk(struct clerk *clerk, const struct server_config *config,
		      const struct qcow_references *references)
{
	const pid_t server = getpid();
	int ends[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
		return -errno;
	clerk->pid = fork();
	if (!clerk->pid)
		clerk_work(config, references, server, ends[1]);
	close(ends[1]);
	clerk->socket = ends[0];
	if (clerk->pid > 0)
		return 0;
	close(clerk->socket);
	return -EAGAIN;
}

int clerk_start(const struct server_config *config,
		const struct qcow_references *references, struct clerk **result)
{
	struct clerk *clerk = calloc(1, sizeof(*clerk));
	struct answer answer;
	int ret;

	if (!clerk)
		return -ENOMEM;
	ret = fork_clerk(clerk, config, references);
	if (ret < 0) {
		free(clerk);
		return ret;
	}
	clerk->nodes = -1;
	clerk_names_init(clerk, &clerk->names);
	ret = hear(clerk, &answer, &clerk->nodes);
	if (ret < 0) {
		clerk_dismiss(clerk);
		return ret;
	}
	clerk->features = answer.features;
	*result = clerk;
	return 0;
}

uint64_t clerk_features(const struct clerk *clerk)
{
	return clerk->features;
}

int clerk_look(struct clerk *clerk, int id, struct clerk_view *view)
{
	const struct order order = { .action = LOOK, .id = id };
	struct answer answer;
	int ret = clerk_give_order(clerk, &order, NULL, &answer);

	if (!ret)
		*view = answer.view;
	return ret;
}

int clerk_start_recovery(struct clerk *clerk)
{
	return give_plain_order(clerk, START_RECOVERY);
}

int clerk_end_orders(struct clerk *clerk)
{
	return give_plain_order(clerk, END_ORDERS);
}

int clerk_start_device(struct clerk *clerk, int *timeout)
{
	const struct order order = { .action = START_DEVICE };
	struct answer answer;
	int ret = clerk_give_order(clerk, &order, NULL, &answer);

	if (!ret)
		*timeout = answer.timeout;
	return ret;
}

int clerk_end_recovery(struct clerk *clerk)
{
	return give_plain_order(clerk, END_RECOVERY);
}

const struct qcow_names *clerk_names(const struct clerk *clerk)
{
	return &clerk->names;
}

int clerk_nodes(const struct clerk *clerk)
{
	return clerk->nodes;
}

int clerk_make_node(const struct clerk *clerk)
{
	return give_plain_order(clerk, MAKE_NODE);
}

void clerk_leave_nodes(struct clerk *clerk)
{
	if (clerk->nodes >= 0)
		close(clerk->nodes);
	clerk->nodes = -1;
}

void clerk_dismiss(struct clerk *clerk)
{
	clerk_leave_nodes(clerk);
	/* The end of the socket ends the clerk. */
	close(clerk->socket);
	while (waitpid(clerk->pid, NULL, 0) < 0 && errno == EINTR)
		;
	free(clerk);
}
