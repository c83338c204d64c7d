// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * qemu-img convert as a child, and its progress as ours.
 *
 * The child ends with us: nobody has a use for part of a copy.  The child reads
 * an image, which is input, so it has a jail (P6): it reads that and the layers
 * of the disk, writes the copy, and reaches nothing else.  It takes
 * QEMU's locks, so that nobody writes to that image (P4).
 *
 * Both outputs of the child come through one pipe.  Its progress ends with a
 * carriage return.  The last of all other lines tells why the child failed.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "plugin/commands/bar.h"
#include "plugin/commands/copy.h"
#include "plugin/common/jail.h"
#include "plugin/common/layers.h"
#include "plugin/common/log.h"
#include "plugin/common/program.h"
#include "plugin/common/settle.h"
#include "plugin/common/text.h"

struct copy {
	const char *from, *to;
	const struct layers *layers;
	uint64_t rate;
	char program[PATH_MAX];
	pid_t pid;
	int output;
	char line[512]; /* that has begun, */
	size_t length;	/* and so far */
	char why[512];	/* the last one that was no progress */
	struct bar bar;
};

static int enter_jail(const struct copy *copy)
{
	const struct jail_program program = {
		.jail = {
			.image = copy->from,
			.layers = copy->layers->list,
			.nr_layers = copy->layers->count,
		},
		.path = copy->program,
		.made = copy->to,
	};

	return jail_enter_for_program(&program);
}

/* Our own stdin may be a terminal, where others type their passwords. */
static int close_stdin(void)
{
	int null = open("/dev/null", O_RDONLY);
	int ret = null < 0 || dup2(null, STDIN_FILENO) < 0 ? -errno : 0;

	if (null > STDIN_FILENO)
		close(null);
	return ret;
}

static void __attribute__((noreturn))
become(const struct copy *copy, int output, pid_t parent)
{
	char rate[24];
	const char *argv[] = {
		"qemu-img", "convert", "-p", "-f",	 "qcow2",  "-O",
		"qcow2",    "-r",      rate, copy->from, copy->to, NULL,
	};
	int ret;

	/* No limit is a limit that nothing reaches. */
	snprintf(rate, sizeof(rate), "%" PRIu64,
		 copy->rate ? copy->rate : (uint64_t)1 << 50);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(EXIT_FAILURE);
	settle_environment();
	dup2(output, STDOUT_FILENO);
	dup2(output, STDERR_FILENO);
	close_range(3, ~0U, 0);
	ret = close_stdin();
	if (!ret)
		ret = enter_jail(copy);
	if (!ret) {
		execv(copy->program, (char *const *)argv);
		ret = -errno;
	}
	dprintf(STDERR_FILENO, "%s: %s\n", copy->program, strerror(-ret));
	_exit(127);
}

static int start(struct copy *copy)
{
	const pid_t parent = getpid();
	int ends[2];

	if (pipe2(ends, O_CLOEXEC))
		return -errno;
	copy->pid = fork();
	if (!copy->pid)
		become(copy, ends[1], parent);
	close(ends[1]);
	copy->output = ends[0];
	if (copy->pid > 0)
		return 0;
	close(ends[0]);
	return -EAGAIN;
}

/* "    (12.34/100%)" */
static void end_line(struct copy *copy)
{
	double percents;

	copy->line[copy->length] = '\0';
	copy->length = 0;
	if (sscanf(copy->line, " (%lf/100%%)", &percents) == 1)
		bar_show(&copy->bar, percents * 100, 10000);
	else if (*copy->line)
		memcpy(copy->why, copy->line, sizeof(copy->why));
}

static void take(struct copy *copy, const char *text, size_t length)
{
	for (; length; text++, length--) {
		if (*text == '\n' || *text == '\r')
			end_line(copy);
		else if (copy->length < sizeof(copy->line) - 1)
			copy->line[copy->length++] = *text;
	}
}

static int follow(struct copy *copy)
{
	char text[1024];
	ssize_t got;
	int status = -1;

	bar_begin(&copy->bar, true);
	while ((got = read(copy->output, text, sizeof(text))) > 0 ||
	       (got < 0 && errno == EINTR))
		if (got > 0)
			take(copy, text, got);
	end_line(copy);
	bar_end(&copy->bar);
	close(copy->output);
	while (waitpid(copy->pid, &status, 0) < 0 && errno == EINTR)
		;
	return status;
}

int copy_image(const char *from, const char *to, const struct layers *layers,
	       uint64_t rate)
{
	struct copy copy = {
		.from = from,
		.to = to,
		.layers = layers,
		.rate = rate,
	};
	int status;

	if (program_find("qemu-img", copy.program))
		return complain("qemu-img is not installed; it makes the copy");
	status = start(&copy);
	if (status)
		return complain("cannot run %s: %s", copy.program,
				strerror(-status));
	status = follow(&copy);
	if (!status)
		return EXIT_SUCCESS;
	text_tame(copy.why);
	if (WIFSIGNALED(status))
		return complain("%s was killed by signal %d", copy.program,
				WTERMSIG(status));
	return complain("%s fails: %s", copy.program,
			*copy.why ? copy.why : "it does not say why");
}
