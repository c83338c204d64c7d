// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The clerk of a jail.
 *
 * It has the right to read everybody's files, for the names that a stranger's
 * header gives may lead through anybody's directories.  So it reads no byte of
 * any file.  The reader has no right; it gives the clerk a path and gets a
 * descriptor.  The clerk judges nothing: the rules of Landlock say which files
 * the disk may consist of, and hold for the clerk as they would for the reader.
 *
 * The clerk ends with the reader, and does nothing for one that is dead: a
 * journal that the reader had removed may be that of the disk's next user by
 * then.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "plugin/common/jail-inside.h"
#include "plugin/common/orders.h"
#include "plugin/common/process.h"

struct jail_clerk {
	struct orders orders; /* first */
	int socket;
	struct qcow_names names;
};

/* ---- the clerk ---- */

static const struct qcow_names *const host = &qcow_names_of_host;

/* The actions that answer with a descriptor. */
static int open_one(const struct order *order, const struct packet *with)
{
	const int flags = order->flags | O_CLOEXEC;

	switch (order->action) {
	case OPEN_FILE:
		return host->open(NULL, order->path, flags);
	case OPEN_AGAIN:
		return with->nr_fds == 1 ?
			       host->open_again(NULL, with->fds[0], flags) :
			       -EINVAL;
	case SET_ASIDE:
		return host->set_aside(NULL, order->path);
	default:
		return -EINVAL;
	}
}

static int execute(const struct order *order, const struct packet *with,
		   int reader, struct answer *answer, int *fd)
{
	switch (order->action) {
	case LOOK_AT_FILE:
		return host->look(NULL, order->path, &answer->st);
	case LOOK_AT_OPEN:
		return orders_look_at_open(with, answer);
	case LINK:
		return with->nr_fds == 1 ?
			       host->link(NULL, with->fds[0], order->path) :
			       -EINVAL;
	case REMOVE:
		return host->remove(NULL, order->path);
	case LIST:
		return host->list(NULL, order->path, order->name, order->number,
				  answer->path);
	case START_READER:
		return orders_start_reader(order, with, reader);
	default:
		*fd = open_one(order, with);
		return *fd < 0 ? *fd : 0;
	}
}

static void __attribute__((noreturn)) work(int socket, int reader)
{
	struct packet with;
	struct order order;

	while (orders_receive(socket, &order, &with) &&
	       !process_wait(reader, 0)) {
		struct answer answer = { 0 };
		int fd = -1;

		answer.result = execute(&order, &with, reader, &answer, &fd);
		orders_answer(socket, &with, &answer, sizeof(answer), fd);
	}
	_exit(EXIT_SUCCESS);
}

/* The users of the reader's streams wait for their end. */
static void leave_streams(void)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	for (int fd = 0; null >= 0 && fd <= STDERR_FILENO; fd++)
		dup2(null, fd);
	close(null);
}

static void __attribute__((noreturn))
be_clerk(int (*enter)(const struct jail *jail), const struct jail *jail,
	 int socket, pid_t reader)
{
	struct answer answer = { 0 };
	int pidfd;

	process_fresh(socket, -1);
	prctl(PR_SET_NAME, "clerk");
	leave_streams();
	pidfd = pidfd_open(reader, 0);
	answer.result = pidfd < 0 ? -errno : enter(jail);
	/* Its pid may be another's by now. */
	if (getppid() != reader)
		_exit(EXIT_FAILURE);
	orders_answer(socket, NULL, &answer, sizeof(answer), -1);
	work(socket, pidfd);
}

/* ---- the reader ---- */

static int give(struct orders *orders, const struct order *order,
		const struct packet *with, struct answer *answer)
{
	const struct jail_clerk *clerk = (struct jail_clerk *)orders;
	int fd = -1;
	int ret = orders_send(clerk->socket, order, with);

	if (!ret)
		ret = orders_hear(clerk->socket, answer, sizeof(*answer), &fd);
	return ret || fd < 0 ? ret : fd;
}

/* Its parts are names that the clerk follows. */
static int settle(void *opaque, const char *path, char **settled)
{
	(void)opaque;
	return qcow_settle(path, settled);
}

int jail_start_clerk(int (*enter)(const struct jail *jail),
		     const struct jail *jail)
{
	static struct jail_clerk clerk = { .orders.give = give };
	const pid_t reader = getpid();
	struct answer answer;
	int ends[2];
	pid_t pid;
	int ret;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
		return -errno;
	pid = fork();
	if (!pid)
		be_clerk(enter, jail, ends[1], reader);
	ret = pid < 0 ? -errno : 0;
	close(ends[1]);
	clerk.socket = ends[0];
	if (!ret)
		ret = orders_hear(clerk.socket, &answer, sizeof(answer), NULL);
	if (ret) {
		close(clerk.socket);
		return ret;
	}
	orders_names(&clerk.orders, &clerk.names);
	clerk.names.settle = settle;
	clerk.names.resolve = NULL;
	qcow_names_here = &clerk.names;
	return 0;
}
