// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * qemu-img copies an image.  The copy is the same as the image.  The job is not
 * faster than it may be, says why it fails, and ends with the process that
 * wants the copy.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "plugin/commands/copy.h"
#include "plugin/common/layers.h"
#include "plugin/common/process.h"
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

/* The powers of a program in the place of qemu-img: "yes" for each that it
   should not. */
static void test_program(void)
{
	char *program = scratch_path("qemu-img");
	const char *chosen = getenv("UBLK_QCOW2_BIN");
	char *before = chosen ? strdup(chosen) : NULL;
	uint8_t *words;
	size_t size;

	must_run("cat >%s <<'END'\n"
		 "#!/bin/sh\n"
		 "for to; do :; done\n"
		 "{ head -c 1 /etc/passwd >/dev/null 2>&1 && echo yes: reads\n"
		 "echo x 2>/dev/null >%s && echo yes: writes\n"
		 "grep -qx 'NoNewPrivs:.1' /proc/self/status ||\n"
		 "echo yes: gets privileges\n"
		 "grep 'Cap[PEB][rfn][mfd]:.*[1-9a-f]' /proc/self/status |\n"
		 "grep -v '0000000000000006$' && echo yes: has rights\n"
		 "echo done; } >$to\n"
		 "END\n"
		 "chmod +x %s",
		 program, from, program);
	setenv("UBLK_QCOW2_BIN", scratch(), 1);
	clear();
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
	free(program);
}

int main(void)
{
	from = scratch_path("from.qcow2");
	to = scratch_path("to.qcow2");
	must_run("qemu-img create -q -f qcow2 %s %u && "
		 "qemu-io -c 'write -q -P 7 0 %u' %s",
		 from, SIZE, SIZE, from);
	test_same();
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
