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

/* An answer without a descriptor. */
static int hear(const struct clerk *clerk, struct answer *answer)
{
	return orders_hear(clerk->socket, answer, sizeof(*answer), NULL);
}

/* The answers come in the order of the orders. */
static void hear_owed(struct clerk *clerk)
{
	struct answer answer;
	int ret;

	for (; clerk->owed; clerk->owed--) {
		ret = hear(clerk, &answer);
		if (ret && !clerk->late)
			clerk->late = ret;
	}
}

int clerk_give_order(struct clerk *clerk, const struct order *order,
		     const struct packet *with, struct answer *answer)
{
	int fd = -1;
	int ret = orders_send(clerk->socket, order, with);

	hear_owed(clerk);
	if (!ret)
		ret = orders_hear(clerk->socket, answer, sizeof(*answer),
				  order->action < LOOK_AT_FILE ? NULL : &fd);
	return ret || fd < 0 ? ret : fd;
}

static int give(struct orders *orders, const struct order *order,
		const struct packet *with, struct answer *answer)
{
	return clerk_give_order((struct clerk *)orders, order, with, answer);
}

/* An order without an argument, whose answer is a result. */
static int give_plain_order(struct clerk *clerk, enum action action)
{
	const struct order order = { .action = action };
	struct answer answer;

	return clerk_give_order(clerk, &order, NULL, &answer);
}

/* The same, but the answer may come later: the users of a dead server's disk
   wait for each answer. */
static int give_in_passing(struct clerk *clerk, enum action action)
{
	const struct order order = { .action = action };
	int ret = orders_send(clerk->socket, &order, NULL);

	clerk->owed += !ret;
	return ret;
}

int clerk_hear_owed(struct clerk *clerk)
{
	int ret;

	hear_owed(clerk);
	ret = clerk->late;
	clerk->late = 0;
	return ret;
}

static int fork_clerk(struct clerk *clerk, const struct server_config *config,
		      const struct qcow_references *references, int ring)
{
	const pid_t server = getpid();
	int ends[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
		return -errno;
	clerk->pid = fork();
	if (!clerk->pid)
		clerk_work(config, references, server, ring, ends[1]);
	close(ends[1]);
	clerk->socket = ends[0];
	if (clerk->pid > 0)
		return 0;
	close(clerk->socket);
	return -EAGAIN;
}

int clerk_start(const struct server_config *config,
		const struct qcow_references *references, int ring,
		struct clerk **result)
{
	struct clerk *clerk = calloc(1, sizeof(*clerk));
	int ret;

	if (!clerk)
		return -ENOMEM;
	ret = fork_clerk(clerk, config, references, ring);
	if (ret < 0) {
		free(clerk);
		return ret;
	}
	clerk->nodes = -1;
	clerk->orders.give = give;
	clerk_names_init(clerk);
	*result = clerk;
	return 0;
}

int clerk_await(struct clerk *clerk)
{
	struct answer answer;
	int ret = orders_hear(clerk->socket, &answer, sizeof(answer),
			      &clerk->nodes);

	if (!ret)
		clerk->features = answer.features;
	return ret;
}

uint64_t clerk_features(const struct clerk *clerk)
{
	return clerk->features;
}

int clerk_look(struct clerk *clerk, int id, struct clerk_view *view)
{
	const struct order order = { .action = LOOK, .id = id };
	struct look_answer answer;
	int ret = orders_send(clerk->socket, &order, NULL);

	hear_owed(clerk);
	if (!ret)
		ret = orders_hear(clerk->socket, &answer.answer, sizeof(answer),
				  NULL);
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
	clerk_names_end(clerk);
	return give_in_passing(clerk, END_ORDERS);
}

int clerk_start_device(struct clerk *clerk, int *timeout)
{
	const struct order order = { .action = START_DEVICE };
	struct answer answer;
	int ret = clerk_give_order(clerk, &order, NULL, &answer);

	if (!ret)
		*timeout = answer.timeout;
	return ret ? ret : clerk_hear_owed(clerk);
}

int clerk_end_recovery(struct clerk *clerk)
{
	int ret = give_plain_order(clerk, END_RECOVERY);

	return ret ? ret : clerk_hear_owed(clerk);
}

const struct qcow_names *clerk_names(const struct clerk *clerk)
{
	return &clerk->names;
}

int clerk_nodes(const struct clerk *clerk)
{
	return clerk->nodes;
}

int clerk_make_node(struct clerk *clerk)
{
	return give_in_passing(clerk, MAKE_NODE);
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
