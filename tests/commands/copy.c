// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * qemu-img copies an image.  The copy is the same as the image.  The job is not
 * faster than it may be, says why it fails, and ends with the process that
 * wants the copy.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "plugin/commands/copy.h"
#include "plugin/common/layers.h"
#include "plugin/common/process.h"
#include "qcow/bits.h"
#include "qcow/filter.h"
#include "qcow/jail.h"
#include "qcow/landlock.h"
#include "qcow/lock.h"
#include "tests/lib/helpers.h"

#define SIZE (8u << 20)

static char *from, *to;
static const struct layers none;

static void clear(void)
{
	must_run("rm -f %s; touch %s", to, to);
}

static void test_same(void)
{
	clear();
	if (copy_image(from, to, &none, 0))
		die("it fails");
	must_run("qemu-img compare -q -f qcow2 -F qcow2 %s %s && "
		 "qemu-img check -q %s",
		 from, to, to);
}

/* It unpacks in threads. */
static void test_compressed(void)
{
	char *packed = scratch_path("packed.qcow2");

	must_run("qemu-img convert -c -O qcow2 -o compression_type=zstd %s %s",
		 from, packed);
	clear();
	if (copy_image(packed, to, &none, 0))
		die("it fails");
	must_run("qemu-img compare -q -f qcow2 -F qcow2 %s %s", from, to);
	free(packed);
}

static void test_rate(void)
{
	const uint64_t began = clock_ms();

	clear();
	if (copy_image(from, to, &none, SIZE / 2))
		die("it fails");
	if (clock_ms() - began < 1000)
		die("8 MiB at 4 a second took %lu ms", clock_ms() - began);
}

static void test_why(void)
{
	char *errors = scratch_path("errors");
	uint8_t *words;
	size_t size;
	pid_t pid = fork();
	int status;

	if (!pid) {
		int fd = creat(errors, 0600);

		if (fd < 0 || dup2(fd, STDERR_FILENO) < 0)
			_exit(9);
		_exit(copy_image("/nonexistent", to, &none, 0));
	}
	waitpid(pid, &status, 0);
	words = read_file(errors, &size);
	if (!WIFEXITED(status) || WEXITSTATUS(status) != EXIT_FAILURE ||
	    !memmem(words, size, "No such file", 12))
		die("status %d: %.*s", status, (int)size, words);
	free(words);
	free(errors);
}

/* Is a process writing to it? */
static bool in_use(void)
{
	struct qcow_error error;
	struct qcow_lock *lock;

	if (qcow_lock(to, NULL, false, true, &lock, &error))
		return true;
	qcow_unlock(lock);
	return false;
}

static void wait_until(bool wanted, const char *what)
{
	const uint64_t end = clock_ms() + 60000;

	while (in_use() != wanted) {
		if (clock_ms() > end)
			die("%s", what);
		usleep(10000);
	}
}

static void test_end(void)
{
	pid_t pid;

	clear();
	pid = fork();
	if (!pid)
		_exit(copy_image(from, to, &none, 64 << 10));
	wait_until(true, "it does not begin");
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	wait_until(false, "qemu-img goes on");
}

/* ---- its jail (P6) ---- */

static bool has_landlock(void)
{
	int rules;

	return !landlock_open(&rules) && !close(rules);
}

/* An image under it that is no layer of the disk. */
static void test_layers(void)
{
	char *overlay = scratch_path("overlay.qcow2");
	const struct layers layers = {
		.known = true,
		.count = 1,
		.list = { { .path = from } },
	};

	must_run("qemu-img create -q -f qcow2 -b %s -F qcow2 %s", from,
		 overlay);
	clear();
	if (copy_image(overlay, to, &layers, 0))
		die("the layers cannot be read");
	must_run("qemu-img compare -q -f qcow2 -F qcow2 %s %s", from, to);
	clear();
	if (has_landlock() && !copy_image(overlay, to, &none, 0))
		die("another file is read");
	free(overlay);
}

/* ---- in the place of qemu-img: this program, called by that name ---- */

static FILE *told;

/* A line for each power that it should not have. */
static void expect(bool holds, const char *what)
{
	if (!holds)
		fprintf(told, "yes: %s\n", what);
}

static bool opens(const char *path, int flags)
{
	int fd = open(path, flags);

	return fd >= 0 && !close(fd);
}

static void look_at_rights(void)
{
	static const char *const sets[] = { "CapPrm: %llx", "CapEff: %llx",
					    "CapBnd: %llx" };
	FILE *status = fopen("/proc/self/status", "re");
	unsigned long long value;
	char line[256];

	expect(status, "cannot look at itself");
	while (status && fgets(line, sizeof(line), status)) {
		if (sscanf(line, "NoNewPrivs: %llu", &value) == 1)
			expect(value, "gets privileges");
		for (unsigned int i = 0; i < ARRAY_SIZE(sets); i++)
			if (sscanf(line, sets[i], &value) == 1)
				expect(!(value & ~(uint64_t)JAIL_WRITES),
				       sets[i]);
	}
}

/* The calls that are refused; each would do something, or fail otherwise. */
#define CALLS \
	CALL("makes a process", SYS_clone, SIGCHLD, 0, 0, 0) \
	CALL("makes a process", SYS_clone3, NULL, 0) \
	CALL("makes a socket", SYS_socket, AF_UNIX, SOCK_STREAM, 0) \
	CALL("makes a socket", SYS_socket, AF_ALG, SOCK_SEQPACKET, 0) \
	CALL("makes a user name space", SYS_unshare, CLONE_NEWUSER) \
	CALL("mounts", SYS_mount, "none", "/", "tmpfs", 0, NULL) \
	CALL("mounts", SYS_fsopen, "tmpfs", 0) \
	CALL("opens past names", SYS_open_by_handle_at, -1, NULL, 0) \
	CALL("traces", SYS_ptrace, 0, 0, 0, 0) \
	CALL("reads memory", SYS_process_vm_readv, getppid(), 0, 0, 0, 0, 0) \
	CALL("finds a process", SYS_pidfd_open, getppid(), 0) \
	CALL("signals", SYS_kill, getppid(), 0) \
	CALL("signals", SYS_tgkill, getppid(), getppid(), 0) \
	CALL("signals", SYS_fcntl, 1, F_SETOWN, getppid()) \
	CALL("signals", SYS_fcntl, 1, F_SETSIG, SIGKILL) \
	CALL("limits", SYS_prlimit64, getppid(), RLIMIT_CORE, NULL, NULL) \
	CALL("slows down", SYS_setpriority, PRIO_USER, 0, 19) \
	CALL("slows down", SYS_sched_setaffinity, getppid(), 0, NULL) \
	CALL("types", SYS_ioctl, 1, TIOCSTI, "x") \
	CALL("makes a ring", SYS_io_uring_setup, 1, NULL) \
	CALL("loads a program into the kernel", SYS_bpf, 0, NULL, 0) \
	CALL("counts", SYS_perf_event_open, NULL, 0, -1, -1, 0) \
	CALL("delays faults", SYS_userfaultfd, 0) \
	CALL("has keys", SYS_keyctl, 0, 0) \
	CALL("is another personality", SYS_personality, 0xffffffff)

static void look_at_calls(void)
{
#define CALL(what, ...) \
	expect(syscall(__VA_ARGS__) == -1 && errno == ENOSYS, what);
	CALLS
#undef CALL
}

static void *do_nothing(void *opaque)
{
	return opaque;
}

/* As QEMU does. */
static void look_at_threads(void)
{
	struct rlimit limit;
	pthread_t thread;

	expect(!pthread_create(&thread, NULL, do_nothing, NULL) &&
		       !pthread_join(thread, NULL),
	       "has no threads");
	expect(!kill(getpid(), 0) && !getrlimit(RLIMIT_CORE, &limit),
	       "has no power over itself");
}

static int act_as_program(const char *image, const char *copy)
{
	char byte;

	told = fopen(copy, "we");
	if (!told)
		return EXIT_FAILURE;
	expect(!opens("/etc/passwd", O_RDONLY), "reads");
	expect(!opens(image, O_WRONLY), "writes");
	expect(!read(STDIN_FILENO, &byte, 1), "hears what is typed");
	look_at_rights();
	if (FILTER_ARCH)
		look_at_calls();
	look_at_threads();
	fputs("done\n", told);
	fclose(told);
	/* A sanitizer's work at the end needs a process. */
	_exit(EXIT_SUCCESS);
}

static void type_something(void)
{
	int ends[2];

	if (pipe(ends) || write(ends[1], "x", 1) != 1 ||
	    dup2(ends[0], STDIN_FILENO) < 0)
		die("no pipe");
}

static void test_program(void)
{
	const char *chosen = getenv("UBLK_QCOW2_BIN");
	char *before = chosen ? strdup(chosen) : NULL;
	uint8_t *words;
	size_t size;

	must_run("cp /proc/%d/exe %s/qemu-img", (int)getpid(), scratch());
	setenv("UBLK_QCOW2_BIN", scratch(), 1);
	clear();
	type_something();
	if (copy_image(from, to, &none, 0))
		die("it fails");
	unsetenv("UBLK_QCOW2_BIN");
	if (before)
		setenv("UBLK_QCOW2_BIN", before, 1);
	words = read_file(to, &size);
	if (!words || size < 5 || memcmp(words, "done\n", 5))
		die("%.*s", (int)size, words);
	free(words);
	free(before);
}

int main(int argc, char **argv)
{
	if (!strcmp(basename(argv[0]), "qemu-img"))
		return act_as_program(argv[argc - 2], argv[argc - 1]);
	from = scratch_path("from.qcow2");
	to = scratch_path("to.qcow2");
	must_run("qemu-img create -q -f qcow2 %s %u && "
		 "qemu-io -c 'write -q -P 7 0 %u' %s",
		 from, SIZE, SIZE, from);
	test_same();
	test_compressed();
	test_rate();
	test_why();
	test_end();
	test_layers();
	if (has_landlock())
		test_program();
	free(from);
	free(to);
	return 0;
}
