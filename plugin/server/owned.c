// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A server that a guest has taken over.  Nothing of this is in a program that
 * is installed.
 *
 * A guest's request for one sector, OWNED_SECTOR + N, makes the queue's thread
 * take step N of the table: each step is one thing that an attacker would try
 * with code in a server.  The step's outcome goes to stderr, where "DONE" is a
 * hole.  With the filter of system calls most steps end the server instead; the
 * fault no-seccomp shows the fences that hold without the filter.
 *
 * The driver issues the write again to the next server.  That one is not
 * armed, so that each step is taken once.
 *
 * Or an image has taken the server over that opens it: with the fault
 * owned-opening each server takes the steps when it has opened its image's file
 * and has not read it yet.
 */
#ifdef TEST_FAULTS

#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include "plugin/common/channel.h"
#include "plugin/server/fault.h"
#include "plugin/server/owned.h"

#define OWNED_SECTOR 1000

static bool armed;
static int supervisor;

static int outcome(int ret)
{
	return ret < 0 ? -errno : 0;
}

static int open_host_file(void)
{
	return outcome(open("/etc/passwd", O_RDONLY));
}

static int open_other_image(void)
{
	return outcome(open(getenv("UBLK_QCOW2_OTHER"), O_RDWR));
}

static int open_control(void)
{
	return outcome(open("/dev/ublk-control", O_RDWR));
}

static int open_memory(void)
{
	return outcome(open("/dev/mem", O_RDWR));
}

static int open_own_memory(void)
{
	return outcome(open("/proc/self/mem", O_RDWR));
}

static int make_file(void)
{
	return outcome(open("/file", O_RDWR | O_CREAT, 0600));
}

static int connect_network(void)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET,
		.sin_port = htons(22),
		.sin_addr.s_addr = htonl(0x7f000001),
	};
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	return outcome(
		connect(fd, (struct sockaddr *)&address, sizeof(address)));
}

static int connect_supervisor(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX,
				       .sun_path = "/run/ublk-qcow2/0.sock" };
	int fd = socket(AF_UNIX, SOCK_SEQPACKET, 0);

	return outcome(
		connect(fd, (struct sockaddr *)&address, sizeof(address)));
}

static int fork_child(void)
{
	pid_t child = fork();

	if (!child)
		_exit(0);
	return outcome(child);
}

static int execute_program(void)
{
	return outcome(execl("/bin/true", "true", NULL));
}

static int trace_supervisor(void)
{
	return outcome(ptrace(PTRACE_ATTACH, getppid(), NULL, NULL));
}

static int kill_supervisor(void)
{
	return outcome(kill(getppid(), SIGKILL));
}

static int become_root(void)
{
	return outcome(setuid(0));
}

static int mount_something(void)
{
	return outcome(mount("proc", "/", "proc", 0, NULL));
}

static int open_by_ring(void)
{
	struct io_uring ring;
	struct io_uring_sqe *sqe;
	struct io_uring_cqe *cqe;
	int ret = io_uring_queue_init(1, &ring, 0);

	if (ret < 0)
		return ret;
	sqe = io_uring_get_sqe(&ring);
	io_uring_prep_openat(sqe, AT_FDCWD, getenv("UBLK_QCOW2_OTHER"), O_RDWR,
			     0);
	io_uring_submit(&ring);
	ret = io_uring_wait_cqe(&ring, &cqe);
	ret = ret < 0 ? ret : cqe->res < 0 ? cqe->res : 0;
	io_uring_queue_exit(&ring);
	return ret;
}

/* The files that the next server opens give the answer. */
static int name_other_file(void)
{
	struct server_message message = { .type = SERVER_LAYER };

	snprintf(message.text, sizeof(message.text), "%s",
		 getenv("UBLK_QCOW2_OTHER"));
	channel_send(supervisor, &message);
	message.type = SERVER_OPENED;
	message.layers = 1;
	message.size = 64 << 20;
	message.cluster_size = 65536;
	message.alignment = 4096;
	channel_send(supervisor, &message);
	return -EAGAIN;
}

static int flood_supervisor(void)
{
	int i;

	for (i = 0; i < 100000; i++)
		channel_notice(supervisor, "line %d", i);
	return -EAGAIN;
}

/* Two steps that only a mistake of ours would take: for the watchdog. */
static int spin(void)
{
	volatile bool for_ever = true;

	while (for_ever)
		;
	return 0;
}

static int wait_for_itself(void)
{
	pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

	pthread_mutex_lock(&lock);
	return -pthread_mutex_lock(&lock);
}

static const struct owned_step steps[] = {
	{ "open a file of the host", open_host_file },
	{ "open another image", open_other_image },
	{ "open /dev/ublk-control", open_control },
	{ "open /dev/mem", open_memory },
	{ "open its own memory", open_own_memory },
	{ "make a file", make_file },
	{ "connect to the network", connect_network },
	{ "connect to a supervisor", connect_supervisor },
	{ "fork", fork_child },
	{ "execute a program", execute_program },
	{ "trace its supervisor", trace_supervisor },
	{ "kill its supervisor", kill_supervisor },
	{ "become root", become_root },
	{ "mount", mount_something },
	{ "open another image by a ring", open_by_ring },
	{ "name another file to its supervisor", name_other_file },
	{ "flood its supervisor", flood_supervisor },
	{ "run in circles", spin },
	{ "wait for itself", wait_for_itself },
};

#define NR_STEPS (sizeof(steps) / sizeof(*steps))

/* The last one may end it. */
static const struct owned_step opening[] = {
	{ "open a file of the host", open_host_file },
	{ "open another image", open_other_image },
	{ "open /dev/ublk-control", open_control },
	{ "open /dev/mem", open_memory },
	{ "open its own memory", open_own_memory },
	{ "make a file", make_file },
	{ "connect to the network", connect_network },
	{ "connect to a supervisor", connect_supervisor },
	{ "execute a program", execute_program },
	{ "trace its supervisor", trace_supervisor },
	{ "kill its supervisor", kill_supervisor },
	{ "become root", become_root },
	{ "mount", mount_something },
	{ "open another image by a ring", open_by_ring },
	{ "fork", fork_child },
};

static void take(const struct owned_step *step)
{
	int ret = step->take();

	dprintf(STDERR_FILENO, "owned: %s: %s\n", step->name,
		ret ? strerror(-ret) : "DONE");
}

void owned_opening(int channel, const struct qcow_names *names,
		   const char *image)
{
	const struct owned_step *step;

	if (!fault("owned-opening"))
		return;
	supervisor = channel;
	for (step = owned_clerk_steps(names, image); step->name; step++)
		take(step);
	for (size_t i = 0; i < sizeof(opening) / sizeof(*opening); i++)
		take(&opening[i]);
}

void owned_arm(int channel)
{
	armed = fault("owned");
	supervisor = channel;
}

void owned_by(uint64_t sector, uint32_t count)
{
	if (!armed || count != 1 || sector < OWNED_SECTOR ||
	    sector >= OWNED_SECTOR + NR_STEPS)
		return;
	take(&steps[sector - OWNED_SECTOR]);
}

#endif
