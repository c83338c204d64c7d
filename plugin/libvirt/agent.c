// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * ublk-qcow2-agent: resumes guests that an I/O error of one of our disks has
 * paused, once the disk is well again.
 *
 * The agent keeps nothing that it could not learn again, so an admin may
 * start, end or kill it at any time.  libvirt says which domains run, with
 * which disks, and which are paused and why; the records in /run have the
 * state of our disks.
 *
 * One thread.  Each turn of the loop does all that is due, tells libvirt's
 * event loop when to return at the latest, and runs it once.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config.h"
#include "plugin/libvirt/agent.h"
#include "plugin/libvirt/connection.h"
#include "plugin/common/log.h"
#include "plugin/common/privileges.h"
#include "plugin/common/settle.h"

#define LOCK_NAME  "agent.lock"
#define EXIT_USAGE 2
#define TURN_MAX   60000 /* ms */

/* --- the command line ---------------------------------------------------- */

static const struct option long_options[] = {
	{ "connect", required_argument, NULL, 'c' },
	{ "syslog", no_argument, NULL, 's' },
	{ "help", no_argument, NULL, 'h' },
	{ "version", no_argument, NULL, 'V' },
	{ NULL, 0, NULL, 0 },
};

static int misuse(const char *what, const char *why)
{
	fprintf(stderr,
		"ublk-qcow2-agent: '%s' %s; see 'ublk-qcow2-agent --help'\n",
		what, why);
	return EXIT_USAGE;
}

/* Returns -1 for the agent to go on, else the exit status. */
static int read_options(int argc, char **argv, struct agent *agent)
{
	int letter;

	opterr = 0;
	while ((letter = getopt_long(argc, argv, ":c:h", long_options, NULL)) !=
	       -1) {
		switch (letter) {
		case 'c':
			agent->uri = optarg;
			break;
		case 's':
			log_to_system();
			break;
		case 'h':
			puts("usage: ublk-qcow2-agent [--connect URI] "
			     "[--syslog]\n\n"
			     "Resumes libvirt's guests that an I/O error of a "
			     "disk of ublk-qcow2 has paused,\n"
			     "once the disk is well again.\n\n"
			     "  --connect URI  libvirt's (default " CONNECTION_URI
			     ")\n"
			     "  --syslog       speak to the system's log "
			     "instead of stderr");
			return complain_of_output(EXIT_SUCCESS);
		case 'V':
			puts(PACKAGE_STRING);
			return complain_of_output(EXIT_SUCCESS);
		case ':':
			return misuse(argv[optind - 1], "needs a value");
		default:
			return misuse(argv[optind - 1], "is no option");
		}
	}
	if (optind < argc)
		return misuse(argv[optind], "is one argument too many");
	return -1;
}

/* --- there is one agent -------------------------------------------------- */

/* The lock is that of the open file, which ends with us. */
static int lock_out_others(void)
{
	struct flock whole = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	char path[PATH_MAX];
	int fd, ret;

	if (geteuid())
		return complain("agent: only root may do this");
	ret = state_open();
	if (ret)
		return complain("agent: cannot make %s: %s", state_dir(),
				strerror(-ret));
	snprintf(path, sizeof(path), "%s/" LOCK_NAME, state_dir());
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return complain("agent: %s: %s", path, strerror(errno));
	if (fcntl(fd, F_OFD_SETLK, &whole))
		return complain("agent: another agent is running");
	return 0;
}

/* --- the loop ------------------------------------------------------------ */

static void take_signal(int watch, int fd, int events, void *opaque)
{
	struct signalfd_siginfo info;
	struct agent *agent = opaque;

	(void)watch;
	(void)events;
	if (read(fd, &info, sizeof(info)) == sizeof(info))
		agent->ending = true;
}

static int watch_signals(struct agent *agent)
{
	sigset_t set;
	int fd;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (fd < 0 || virEventAddHandle(fd, VIR_EVENT_HANDLE_READABLE,
					take_signal, agent, NULL) < 0)
		return complain("agent: cannot receive signals: %s",
				strerror(errno));
	return 0;
}

static void wake(int timer, void *opaque)
{
	(void)opaque;
	virEventUpdateTimeout(timer, -1);
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* Does all tasks that are due, and returns the time in ms until the next
   one. */
static int do_turn(struct agent *agent)
{
	uint64_t next, now;

	if (agent->lost)
		agent_disconnect(agent);
	agent_connect(agent);
	next = agent->due;
	if (agent->connection) {
		next = watch_look(agent);
		next = earlier(next, watch_patrol(agent));
	}
	now = clock_ms();
	if (next <= now)
		return 0;
	return earlier(next - now, TURN_MAX);
}

static int run(struct agent *agent)
{
	int timer;

	if (virEventRegisterDefaultImpl() < 0)
		return complain("agent: no event loop: %s", connection_error());
	timer = virEventAddTimeout(0, wake, NULL, NULL);
	if (timer < 0 || watch_signals(agent))
		return EXIT_FAILURE;
	while (!agent->ending) {
		virEventUpdateTimeout(timer, do_turn(agent));
		if (virEventRunDefaultImpl() < 0)
			return complain("agent: the event loop failed: %s",
					connection_error());
	}
	log_line(LOG_INFO, "agent: ends");
	agent_disconnect(agent);
	errand_end_all(agent);
	return EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
	struct agent agent = { .uri = CONNECTION_URI };
	int status;

	/* An inherited SIGCHLD that is ignored would hide the ends of errands.
	 */
	if (settle_command())
		return EXIT_FAILURE;
	close_range(STDERR_FILENO + 1, ~0U, 0);
	umask(077);
	status = read_options(argc, argv, &agent);
	if (status >= 0)
		return status;
	if (lock_out_others())
		return EXIT_FAILURE;
	/* P6: before libvirt is heard. */
	privileges_limit();
	return run(&agent);
}
