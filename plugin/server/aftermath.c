// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The driver's work after the death of a server, for older drivers.
 *
 * Drivers before 6.16 tell that a device can be recovered, and then go on: a
 * worker of the kernel (ublk_quiesce_work_fn()) takes back all commands that it
 * finds.  The worker knows nothing of servers.  If other tasks keep the worker
 * from the processor at that moment, it takes back the FETCHes of the next
 * server.  The same happens if the last server died in its recovery, since the
 * device can then be recovered before the worker has begun.  Such a device is
 * lost: the kernel hands requests to commands that are gone, and every later
 * command to the device waits for ever.
 *
 * No command of the driver waits for the worker.  But a read of stat_refresh
 * has each processor do a piece of work from the same queue, and waits for
 * that; and a processor begins no piece of that queue while a worker of the
 * queue is at work on it, on the processor or waiting for it.
 *
 * A processor that a real-time task keeps for itself does no such work, and the
 * reader waits, and cannot be killed.  So the reader is a process of its own,
 * which has nothing that the recovery needs, and nobody waits for it for long.
 * It is there before the users of the disk wait for it.
 *
 * The process ends after its parent, and so keeps the parent's name spaces
 * until then.  A process whose copy of a mount is the last one writes at its
 * end what the file system still has to write, perhaps to the disk whose ring
 * the process still has.  So this one does that, which has no ring.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include "plugin/common/process.h"
#include "plugin/server/aftermath.h"
#include "plugin/server/ublk_abi.h"

#define PATIENCE 2000 /* ms */
#define BLIND	 10   /* ms, if the file cannot be read */

bool aftermath_matters(uint64_t features)
{
	/* A feature of 6.16. */
	return !(features & UBLK_F_QUIESCE);
}

static bool read_file(const char *file)
{
	char byte;
	int fd = open(file, O_RDONLY | O_CLOEXEC);
	bool done = fd >= 0 && read(fd, &byte, 1) >= 0;

	if (fd >= 0)
		close(fd);
	return done;
}

static void __attribute__((noreturn)) help(int socket, const char *file)
{
	char byte;

	process_fresh(socket, -1);
	/* The parent's group may be killed. */
	setsid();
	prctl(PR_SET_NAME, "aftermath");
	while (recv(socket, &byte, 1, 0) == 1) {
		byte = read_file(file);
		send(socket, &byte, 1, MSG_NOSIGNAL);
	}
	_exit(EXIT_SUCCESS);
}

void aftermath_begin(struct aftermath *aftermath, const char *file)
{
	int ends[2];
	pid_t pid;

	aftermath->helper = -1;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends))
		return;
	pid = fork();
	if (!pid)
		help(ends[1], file);
	close(ends[1]);
	if (pid > 0)
		aftermath->helper = ends[0];
	else
		close(ends[0]);
}

/* Has the helper read the file within that time? */
static bool ask(int helper)
{
	struct pollfd answer = { .fd = helper, .events = POLLIN };
	char byte = 0;
	int ret;

	if (send(helper, &byte, 1, MSG_NOSIGNAL) != 1)
		return false;
	do
		ret = poll(&answer, 1, PATIENCE);
	while (ret < 0 && errno == EINTR);
	/* Nobody knows more by a longer wait. */
	return !ret || (recv(helper, &byte, 1, 0) == 1 && byte);
}

void aftermath_await(struct aftermath *aftermath)
{
	const struct timespec blind = { .tv_nsec = BLIND * 1000000L };

	if (aftermath->helper < 0 || !ask(aftermath->helper))
		nanosleep(&blind, NULL);
}
