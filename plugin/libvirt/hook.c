// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * ublk-qcow2-hook: libvirt's qemu hook.
 *
 * libvirt runs it at each stage of a domain's life: DOMAIN OPERATION
 * SUBOPERATION EXTRA, the domain's XML on stdin.  The table operations[] has
 * the operations at which the hook acts; at any other the hook does nothing,
 * and does not even read the XML.
 *
 * libvirt waits for us, without a limit and with the domain locked.  Hence the
 * rules: the hook never calls libvirt, every wait has an end, and no child
 * gets the stdout or stderr of the hook (child.c).  stdout stays empty, which
 * at `migrate` and `restore` means that the XML is to stay as it is.
 *
 * A failure of `prepare` or `started` ends the start of the domain, and
 * libvirt's error message has the hook's one line on stderr.  A failure of
 * `reconnect` would end a running guest.  Therefore a child does the work of
 * `reconnect`, and the hook succeeds even if the child does not.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config.h"
#include "plugin/libvirt/child.h"
#include "plugin/libvirt/hook.h"
#include "plugin/libvirt/service.h"
#include "plugin/common/log.h"
#include "plugin/common/privileges.h"
#include "plugin/common/settle.h"
#include "plugin/common/text.h"

#define XML_MAX	       (16 << 20)
#define XML_PATIENCE   30000 /* ms */
#define CHILD_PATIENCE (2 * HOOK_TOTAL_PATIENCE)
#define LINE_SIZE      8192
#define LINES_MAX      16
#define SAID_MAX       32768
#define EXIT_USAGE     2
#define MIN_PATIENCE   5000 /* ms */

static const struct operation {
	const char *name;
	const char *when;
	int (*run)(const struct call *call);
	bool must_not_fail;
} operations[] = {
	{ "migrate", "begin", migrate_begin, false },
	{ "prepare", "begin", prepare_begin, false },
	{ "started", "begin", started_begin, false },
	{ "reconnect", "begin", reconnect_begin, true },
	{ "release", "end", release_end, false },
};

#define NR_OPERATIONS (sizeof(operations) / sizeof(operations[0]))

int hook_say(const struct call *call, const char *format, ...)
{
	static unsigned int lines;
	char line[LINE_SIZE];
	size_t length;
	va_list args;

	if (++lines > LINES_MAX)
		return EXIT_FAILURE;
	snprintf(line, sizeof(line),
		 "ublk-qcow2-hook: domain %.256s: ", call->name);
	length = strlen(line);
	va_start(args, format);
	text_format(line + length, sizeof(line) - 1 - length, format, args);
	va_end(args);
	if (lines == LINES_MAX)
		strcpy(line + length, "there is more to say, but no more room");
	text_tame(line);
	strcat(line, "\n");
	/* A caller that does not read needs no line. */
	if (write(STDERR_FILENO, line, strlen(line)) < 0)
		return EXIT_FAILURE;
	return EXIT_FAILURE;
}

bool hook_concerns_us(const struct call *call)
{
	const struct domain *domain = &call->domain;
	size_t i;

	for (i = 0; i < domain->nr_disks; i++)
		if (domain_is_ours(domain->disks[i].source))
			return true;
	return false;
}

int hook_patience(const struct call *call, int milliseconds)
{
	const uint64_t now = clock_ms();
	uint64_t left = call->deadline > now ? call->deadline - now : 0;

	if (left < MIN_PATIENCE)
		left = MIN_PATIENCE;
	return left < (uint64_t)milliseconds ? (int)left : milliseconds;
}

/* --- the XML ------------------------------------------------------------- */

static int wait_for_input(uint64_t deadline)
{
	struct pollfd input = { .fd = STDIN_FILENO, .events = POLLIN };
	const uint64_t now = clock_ms();
	int ready = now < deadline ? poll(&input, 1, deadline - now) : 0;

	if (ready < 0 && errno != EINTR)
		return -errno;
	return ready ? 0 : -ETIMEDOUT;
}

/* Reads stdin to its end; the last byte of the buffer stays free, so a full
   buffer means that the XML is too long. */
static int read_input(char *xml, size_t size, size_t *length)
{
	const uint64_t deadline = clock_ms() + service_patience(XML_PATIENCE);
	ssize_t got = 1;
	int ret = 0;

	*length = 0;
	while (!ret && got && *length < size) {
		ret = wait_for_input(deadline);
		if (ret)
			return ret;
		got = read(STDIN_FILENO, xml + *length, size - *length);
		if (got < 0 && errno != EINTR && errno != EAGAIN)
			return -errno;
		if (got > 0)
			*length += got;
		else if (got < 0)
			got = 1;
	}
	return *length < size ? 0 : -EFBIG;
}

/* --- the operation ------------------------------------------------------- */

struct work {
	const struct operation *operation;
	const char *domain;
	char *xml;
	size_t length;
	int ret; /* of reading it */
};

static int understand(const struct work *work, struct call *call)
{
	int ret;

	if (!work->xml)
		return domain_wrong(call->why, "out of memory");
	if (work->ret == -EFBIG)
		return domain_wrong(call->why, "its XML has more than %d MiB",
				    XML_MAX >> 20);
	if (work->ret)
		return domain_wrong(call->why, "cannot read its XML: %s",
				    strerror(-work->ret));
	ret = domain_parse(work->xml, work->length, &call->domain, call->why);
	if (ret == -ENOMEM)
		domain_wrong(call->why, "out of memory");
	if (call->domain.uuid && owner_uuid(call->domain.uuid, call->uuid))
		return domain_wrong(call->why, "'%.64s' is not a uuid",
				    call->domain.uuid);
	return ret;
}

static int do_work(const void *argument)
{
	const struct work *work = argument;
	struct call call = {
		.name = work->domain,
		.deadline = clock_ms() + HOOK_TOTAL_PATIENCE,
	};
	int status;

	call.wrong = understand(work, &call);
	status = work->operation->run(&call);
	domain_free(&call.domain);
	return status;
}

/* The guest goes on even if the child fails. */
static int do_shielded(const struct work *work)
{
	const struct call call = { .name = work->domain };
	char said[SAID_MAX];
	size_t length = 0;
	int ret = child_run(do_work, work, CHILD_PATIENCE, said, sizeof(said),
			    &length);

	if (length && write(STDERR_FILENO, said, length) < 0)
		return EXIT_SUCCESS;
	if (ret < 0)
		hook_say(&call, "looking after its disks failed: %s",
			 ret == -EINTR ? "killed by a signal" : strerror(-ret));
	return EXIT_SUCCESS;
}

static int operate(const struct operation *operation, const char *domain)
{
	struct work work = {
		.operation = operation,
		.domain = domain,
		.xml = malloc(XML_MAX),
	};
	int status;

	if (work.xml)
		work.ret = read_input(work.xml, XML_MAX, &work.length);
	status = operation->must_not_fail ? do_shielded(&work) : do_work(&work);
	free(work.xml);
	return status;
}

/* error: 0, or -errno; without its standard descriptors a process may write
   into any file. */
static int dispatch(char **argv, int error)
{
	const struct call call = { .name = argv[1] };
	size_t i;

	for (i = 0; i < NR_OPERATIONS; i++) {
		if (strcmp(argv[2], operations[i].name) != 0 ||
		    strcmp(argv[3], operations[i].when) != 0)
			continue;
		if (!error)
			return operate(&operations[i], argv[1]);
		hook_say(&call, "cannot open /dev/null: %s", strerror(-error));
		return operations[i].must_not_fail ? EXIT_SUCCESS :
						     EXIT_FAILURE;
	}
	return EXIT_SUCCESS;
}

/* --- the program --------------------------------------------------------- */

static int help(int argc, char **argv)
{
	if (argc == 2 && !strcmp(argv[1], "--version")) {
		puts(PACKAGE_STRING);
		return complain_of_output(EXIT_SUCCESS);
	}
	if (argc == 2 &&
	    (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h"))) {
		puts("usage: ublk-qcow2-hook DOMAIN OPERATION SUBOPERATION "
		     "EXTRA <XML\n\n"
		     "libvirt's qemu hook: has the disks of a domain served.  "
		     "libvirt runs it;\nsee ublk-qcow2-hook(8).");
		return complain_of_output(EXIT_SUCCESS);
	}
	fputs("ublk-qcow2-hook: libvirt runs this, with DOMAIN OPERATION "
	      "SUBOPERATION EXTRA; see ublk-qcow2-hook(8)\n",
	      stderr);
	return EXIT_USAGE;
}

int main(int argc, char **argv)
{
	int ret = settle_command();

	/* None that we inherited may stay open in a server. */
	close_range(STDERR_FILENO + 1, ~0U, 0);
	signal(SIGPIPE, SIG_IGN);
	if (argc < 4)
		return help(argc, argv);
	/* P6: before the XML is read. */
	privileges_limit();
	umask(077);
	return dispatch(argv, ret);
}
