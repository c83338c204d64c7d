// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A process has confined itself as a server does.  Each of its threads is
 * confined.  Its ring does the operations that a queue needs, and no others.  A
 * system call that no server makes kills the process.
 *
 * Each case is a child, for there is no way back.  Only root has rights to give
 * up.
 */
#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <linux/capability.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>
#include "plugin/common/state.h"
#include "plugin/server/confine.h"
#include "plugin/common/confinement.h"
#include "plugin/server/node.h"
#include "plugin/server/restrict.h"
#include "tests/lib/helpers.h"

#define SKIPPED 77

static unsigned int held; /* enum confinement */

static void check(bool holds, const char *what)
{
	if (holds)
		return;
	fprintf(stderr, "%s\n", what);
	_exit(EXIT_FAILURE);
}

static int nodes; /* a directory for them */

static void check_step(int ret, const char *step)
{
	if (ret)
		fprintf(stderr, "cannot %s: %s\n", step, strerror(-ret));
	check(!ret, "is not confined");
}

static void fall(void)
{
	const char *step = "";

	check_step(confine(nodes, &held, &step), step);
}

static void fall_wholly(void)
{
	const char *step = "";

	check_step(confine_wholly(&step), step);
}

static void fall_at_once(void)
{
	fall();
	fall_wholly();
}

static atomic_bool fallen;

/* A thread's memory may be an arena of its own, which free() shrinks. */
static void *allocate(void *opaque)
{
	void *memory[8];

	while (!atomic_load(&fallen))
		usleep(1000);
	for (size_t i = 0; i < 8; i++)
		memory[i] = malloc(100000);
	for (size_t i = 0; i < 8; i++)
		free(memory[i]);
	return opaque;
}

/* Threads */

static void case_threads(void)
{
	pthread_t threads[20];

	fall();
	for (int i = 0; i < 20; i++)
		check(!pthread_create(&threads[i], NULL, allocate, NULL),
		      "no thread");
	fall_wholly();
	atomic_store(&fallen, true);
	for (int i = 0; i < 20; i++)
		pthread_join(threads[i], NULL);
}

/* The ring */

static int submit(struct io_uring *ring, int operation, int file, int flags)
{
	static char buffer[512];
	struct io_uring_sqe *sqe = io_uring_get_sqe(ring);
	struct io_uring_cqe *cqe;
	int ret;

	io_uring_prep_rw(operation, sqe, file, buffer, sizeof(buffer), 0);
	sqe->flags = flags;
	io_uring_submit(ring);
	ret = io_uring_wait_cqe(ring, &cqe);
	if (ret)
		return ret;
	ret = cqe->res;
	io_uring_cqe_seen(ring, cqe);
	return ret;
}

static void make_ring(struct io_uring *ring, int file)
{
	check(!io_uring_queue_init(8, ring,
				   IORING_SETUP_R_DISABLED |
					   IORING_SETUP_SUBMIT_ALL),
	      "no ring");
	check(!io_uring_register_files(ring, &file, 1), "no file");
	check(!restrict_ring(ring, true), "no restriction");
	check(!io_uring_register(ring->ring_fd, IORING_REGISTER_ENABLE_RINGS,
				 NULL, 0),
	      "not enabled");
	io_uring_register_ring_fd(ring);
}

static void case_ring(void)
{
	static const int forbidden[] = {
		IORING_OP_NOP,	     IORING_OP_OPENAT,	 IORING_OP_CONNECT,
		IORING_OP_FALLOCATE, IORING_OP_UNLINKAT, IORING_OP_SPLICE,
		IORING_OP_SENDMSG,
	};
	int file = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	struct io_uring ring;

	make_ring(&ring, file);
	fall_at_once();
	check(submit(&ring, IORING_OP_READ, 0, IOSQE_FIXED_FILE) == 512,
	      "the ring does not read");
	check(submit(&ring, IORING_OP_READ, 0,
		     IOSQE_FIXED_FILE | IOSQE_ASYNC) == 512,
	      "the ring does not read in a worker");
	check(submit(&ring, IORING_OP_READ, 0,
		     IOSQE_FIXED_FILE | IOSQE_IO_LINK) == -EACCES,
	      "the ring takes another flag");
	check(submit(&ring, IORING_OP_READ, file, 0) == -EACCES,
	      "the ring takes a file that is not registered");
	for (size_t i = 0; i < sizeof(forbidden) / sizeof(*forbidden); i++)
		check(submit(&ring, forbidden[i], 0, IOSQE_FIXED_FILE) ==
			      -EACCES,
		      "the ring takes another operation");
	io_uring_queue_exit(&ring);
}

/* System calls */

/* While the image is opened */

static bool opens(const char *path, int flags)
{
	int fd = open(path, flags, 0600);

	return fd >= 0 && !close(fd);
}

static void case_opening(void)
{
	int back = open("/", O_RDONLY | O_DIRECTORY);
	struct io_uring ring;

	fall();
	check(!opens("/", O_RDONLY), "opens the root");
	check(!opens("/etc/passwd", O_RDONLY), "opens a file of the host");
	check(!opens("/proc/self/mem", O_RDWR), "opens its memory");
	check(!opens("/file", O_RDWR | O_CREAT), "makes a file");
	check(openat(back, "etc/passwd", O_RDONLY) < 0 ||
		      !(held & CONFINED_LANDLOCK),
	      "opens a file of the host by a directory");
	check(openat(nodes, "file", O_RDWR | O_CREAT, 0600) < 0,
	      "makes a node");
	check(setuid(0) < 0 && geteuid(), "becomes root");
	check(kill(getppid(), 0) < 0, "signals its parent");
	if (!(held & CONFINED_SECCOMP))
		return;
	check(socket(AF_INET, SOCK_STREAM, 0) < 0, "makes a socket");
	check(io_uring_queue_init(8, &ring, 0) < 0, "makes a ring");
	check(execl("/proc/self/exe", "self", NULL) < 0, "executes");
	check(unshare(CLONE_NEWUSER) < 0, "makes a name space");
}

/* The driver's test opens a device; here it is one that everybody has. */
static void case_node(void)
{
	check(!mknodat(nodes, "node", S_IFCHR, makedev(1, 3)) &&
		      !fchmodat(nodes, "node", 0666, 0),
	      "no node");
	fall();
	check(openat(nodes, "node", O_RDWR) >= 0, "does not open its node");
}

static void case_fork_opening(void)
{
	fall();
	if (!fork())
		_exit(EXIT_SUCCESS);
}

/* When it serves */

static void case_open(void)
{
	fall_at_once();
	open("/", O_RDONLY);
}

static void case_fork(void)
{
	fall_at_once();
	if (!fork())
		_exit(EXIT_SUCCESS);
}

static void case_kill(void)
{
	fall_at_once();
	kill(getppid(), 0);
}

/* As in a container that may not make name spaces. */
static void case_without_spaces(void)
{
	fall_at_once();
	check(!(held & CONFINED_NAMESPACES) && held & CONFINED_USER,
	      "claims name spaces");
	open("/", O_RDONLY);
}

static void drop(int capability)
{
	struct __user_cap_header_struct header = {
		.version = _LINUX_CAPABILITY_VERSION_3,
	};
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];

	check(!syscall(SYS_capget, &header, data), "capget");
	data[0].effective &= ~(1u << capability);
	data[0].permitted &= ~(1u << capability);
	check(!syscall(SYS_capset, &header, data), "capset");
}

/* As in a container that may not make nodes of devices. */
static void case_without_nodes(void)
{
	close(nodes);
	nodes = -1;
	fall();
	check(!(held & CONFINED_NAMESPACES), "claims to have no paths");
	check(opens("/dev/null", O_RDWR), "cannot open its node in /dev");
	check(!opens("/etc/passwd", O_RDONLY) || !(held & CONFINED_LANDLOCK),
	      "opens a file of the host");
}

static void bind_to(const char *directory, const char *root)
{
	char path[128];

	snprintf(path, sizeof(path), "%s%s", root, directory);
	check(!mkdir(path, 0755) || errno == EEXIST, "no directory");
	check(!mount(directory, path, NULL, MS_BIND | MS_REC, NULL), "no bind");
}

/* As in a container whose root cannot be exchanged, and that may not change
   it.  A directory that is no mount is such a root. */
static void case_without_chroot(void)
{
	const char *root = scratch();
	char run[128];

	check(!unshare(CLONE_NEWNS) &&
		      !mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL),
	      "the host would see its mounts");
	snprintf(run, sizeof(run), "%s/run", root);
	check(!mkdir(run, 0755), "no directory");
	bind_to("/dev", root);
	bind_to("/proc", root);
	snprintf(run, sizeof(run), "%s" STATE_DIR, root);
	check(!mkdir(run, 0755), "no directory");
	check(!chroot(root) && !chdir("/"), "no root");
	drop(CAP_SYS_CHROOT);
	fall();
	check(!(held & CONFINED_NAMESPACES), "claims to have no paths");
	check(!opens("/proc/self/status", O_RDONLY) ||
		      !(held & CONFINED_LANDLOCK),
	      "opens a file of the host");
}

static void case_exec(void)
{
	fall_at_once();
	execl("/bin/true", "true", NULL);
}

/* Runs it in a child; returns how that ended. */
static int run_case(void (*act)(void))
{
	int status;
	pid_t child = fork();

	if (!child) {
		nodes = node_directory();
		check(nodes >= 0, "no directory for nodes");
		if (act == case_without_spaces)
			drop(CAP_SYS_ADMIN);
		check(!confine_prepare(), "is not prepared");
		act();
		/* The filter would have prevented the act; there is none. */
		_exit(held & CONFINED_SECCOMP ? EXIT_SUCCESS : SKIPPED);
	}
	if (child < 0 || waitpid(child, &status, 0) != child)
		return -1;
	return status;
}

static void lives(const char *name, void (*act)(void))
{
	int status = run_case(act);

	if (status && WEXITSTATUS(status) != SKIPPED) {
		fprintf(stderr, "%s: ends with %#x\n", name, status);
		exit(EXIT_FAILURE);
	}
}

static void is_killed(const char *name, void (*act)(void))
{
	int status = run_case(act);

	if (WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS)
		return;
	if (WIFEXITED(status) && WEXITSTATUS(status) == SKIPPED)
		return;
	fprintf(stderr, "%s: ends with %#x and is not killed\n", name, status);
	exit(EXIT_FAILURE);
}

int main(void)
{
	if (geteuid())
		return SKIPPED;
	mkdir(STATE_DIR, 0755);
	scratch(); /* its removal is this process's */
	lives("threads", case_threads);
	lives("ring", case_ring);
	lives("opening", case_opening);
	lives("node", case_node);
	lives("without nodes", case_without_nodes);
	lives("without chroot", case_without_chroot);
	is_killed("fork while it opens", case_fork_opening);
	is_killed("open", case_open);
	is_killed("fork", case_fork);
	is_killed("kill", case_kill);
	is_killed("exec", case_exec);
	is_killed("without name spaces", case_without_spaces);
	return EXIT_SUCCESS;
}
