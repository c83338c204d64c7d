// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A known state for a process, started by any other.
 *
 * A shell, a cron job or a package's script that runs `add` has limits,
 * ignored signals, a niceness and a control group of its own.  A supervisor
 * and its servers would inherit these, and live for as long as a guest: a
 * limit on a file's size kills every server at the same write, with an ignored
 * SIGCHLD no supervisor learns how a server ended, and a shell's control group
 * may be frozen or killed with the shell.
 *
 * So this file sets all inherited state that could matter.  A unit that
 * started us has the settings of the administrator: nice, scheduling,
 * processors, limits and the out-of-memory score.  Then only those limits are
 * lifted with which no disk could live.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/ioprio.h>
#include <linux/magic.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "plugin/common/settle.h"

#define DESCRIPTORS  4096
#define STACK	     (8ul << 20) /* of the main thread; grows on demand */
#define THREAD_STACK (1ul << 20)
#define OOM_SCORE    "-900"
#define GROUP	     "/sys/fs/cgroup/ublk-qcow2"
#define DEFAULT_PATH \
	"/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

typedef void teller(const char *line);

static void __attribute__((format(printf, 2, 3)))
say(teller *tell, const char *format, ...)
{
	char line[256];
	va_list args;

	va_start(args, format);
	vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	tell(line);
}

/* ---- signals and descriptors ---- */

/* The signals of @blocked that are pending stay so. */
static void settle_signals(const sigset_t *blocked)
{
	int number;

	/* signal() refuses those that cannot be set; the C library keeps
	   two. */
	for (number = 1; number < NSIG; number++)
		signal(number, SIG_DFL);
	sigprocmask(SIG_SETMASK, blocked, NULL);
}

/* A descriptor of ours must never be taken for stdout. */
static int fill_standard_descriptors(void)
{
	int fd;

	/* An open takes the lowest that is free. */
	for (fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDWR) < 0)
			return -errno;
	return 0;
}

/* Even a command needs more stack than a shell may leave. */
static void settle_stack(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_STACK, &limit) || limit.rlim_cur >= STACK)
		return;
	limit.rlim_cur = STACK;
	if (limit.rlim_max < STACK)
		limit.rlim_max = STACK;
	setrlimit(RLIMIT_STACK, &limit);
}

int settle_command(void)
{
	sigset_t none;

	sigemptyset(&none);
	settle_stack();
	settle_signals(&none);
	return fill_standard_descriptors();
}

/* ---- limits ---- */

/* Raises the soft limit to least, and the hard one where that is lower. */
static void settle_limit(int resource, const char *name, rlim_t least,
			 teller *tell)
{
	struct rlimit limit;

	if (getrlimit(resource, &limit) || limit.rlim_cur >= least)
		return;
	limit.rlim_cur = least;
	if (limit.rlim_max < least)
		limit.rlim_max = least;
	if (setrlimit(resource, &limit))
		say(tell, "cannot raise the limit RLIMIT_%s: %s", name,
		    strerror(errno));
}

static void settle_limits(teller *tell)
{
	static const struct {
		int resource;
		const char *name;
		rlim_t least;
	} limits[] = {
		{ RLIMIT_FSIZE, "FSIZE", RLIM_INFINITY },
		{ RLIMIT_CPU, "CPU", RLIM_INFINITY },
		{ RLIMIT_AS, "AS", RLIM_INFINITY },
		{ RLIMIT_DATA, "DATA", RLIM_INFINITY },
		{ RLIMIT_MEMLOCK, "MEMLOCK", RLIM_INFINITY },
		{ RLIMIT_NPROC, "NPROC", RLIM_INFINITY },
		{ RLIMIT_LOCKS, "LOCKS", RLIM_INFINITY },
		{ RLIMIT_SIGPENDING, "SIGPENDING", 1024 },
		{ RLIMIT_NOFILE, "NOFILE", DESCRIPTORS },
		{ RLIMIT_STACK, "STACK", STACK },
	};
	pthread_attr_t attributes;
	size_t i;

	for (i = 0; i < sizeof(limits) / sizeof(limits[0]); i++)
		settle_limit(limits[i].resource, limits[i].name,
			     limits[i].least, tell);
	/* The C library has taken the size of threads' stacks from the limit
	   that it found. */
	if (pthread_attr_init(&attributes))
		return;
	if (pthread_attr_setstacksize(&attributes, THREAD_STACK) ||
	    pthread_setattr_default_np(&attributes))
		say(tell, "cannot set the size of the threads' stacks");
	pthread_attr_destroy(&attributes);
}

/* ---- the settings of a unit ---- */

static void settle_processors(void)
{
	/* As many processors as a kernel may have; it takes those that
	   exist. */
	size_t size = CPU_ALLOC_SIZE(8192);
	cpu_set_t *all = CPU_ALLOC(8192);

	if (!all)
		return;
	memset(all, 0xff, size);
	/* Where a cpuset forbids some, the kernel leaves them out. */
	sched_setaffinity(0, size, all);
	CPU_FREE(all);
}

static void settle_priority(teller *tell)
{
	const struct sched_param param = { .sched_priority = 0 };

	if (sched_setscheduler(0, SCHED_OTHER, &param))
		say(tell, "cannot take the usual scheduling policy: %s",
		    strerror(errno));
	if (setpriority(PRIO_PROCESS, 0, 0))
		say(tell,
		    "cannot set the nice value of the supervisor to 0: %s",
		    strerror(errno));
	syscall(SYS_ioprio_set, IOPRIO_WHO_PROCESS, 0,
		IOPRIO_PRIO_VALUE(IOPRIO_CLASS_NONE, 0));
	settle_processors();
}

static int write_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	int ret = 0;

	if (fd < 0)
		return -errno;
	if (write(fd, text, strlen(text)) < 0)
		ret = -errno;
	close(fd);
	return ret;
}

static void settle_oom_score(teller *tell)
{
	int ret = write_text("/proc/self/oom_score_adj", OOM_SCORE);

	if (ret)
		say(tell,
		    "cannot set the oom_score_adj of the supervisor to " OOM_SCORE
		    ": %s; when memory is short the kernel may kill it early",
		    strerror(-ret));
}

/* A service manager owns all control groups: there, a unit is the way out of a
   shell's group.  Elsewhere we make a group. */
static void settle_group(teller *tell)
{
	struct statfs fs;
	int ret;

	if (statfs("/sys/fs/cgroup", &fs) || fs.f_type != CGROUP2_SUPER_MAGIC)
		return;
	if (!access("/run/systemd/system", F_OK)) {
		say(tell,
		    "the supervisor is in the control group of the process "
		    "that started it; a unit, ublk-qcow2@NAME.service, "
		    "would have its own");
		return;
	}
	ret = mkdir(GROUP, 0755) && errno != EEXIST ? -errno : 0;
	if (!ret)
		ret = write_text(GROUP "/cgroup.procs", "0");
	if (ret)
		say(tell,
		    "the supervisor stays in the control group of the process "
		    "that started it (%s): a limit, freeze or kill of that "
		    "group meets the disk, too",
		    strerror(-ret));
}

/* ---- the environment ---- */

static bool is_kept(const char *variable, bool tests)
{
	static const char *const kept[] = { "NOTIFY_SOCKET=", "JOURNAL_STREAM=",
					    "INVOCATION_ID=", "LANG=", "TZ=" };
	size_t i;

	if (tests && !strncmp(variable, "UBLK_QCOW2", strlen("UBLK_QCOW2")))
		return true;
	for (i = 0; i < sizeof(kept) / sizeof(kept[0]); i++)
		if (!strncmp(variable, kept[i], strlen(kept[i])))
			return true;
	return false;
}

static void filter_environment(bool tests)
{
	char **from = environ, **to = environ;

	for (; from && *from; from++)
		if (is_kept(*from, tests))
			*to++ = *from;
	if (to)
		*to = NULL;
	setenv("PATH", DEFAULT_PATH, 1);
}

void settle_environment(void)
{
	filter_environment(false);
	unsetenv("NOTIFY_SOCKET");
	unsetenv("JOURNAL_STREAM");
	unsetenv("INVOCATION_ID");
}

/* ---- all of it ---- */

bool settle_is_managed(bool foreground)
{
	return foreground && getenv("INVOCATION_ID");
}

void settle_process(bool managed, teller *tell)
{
	sigset_t to_end;

	/* A signal that comes before the supervisor listens must not kill
	   it. */
	sigemptyset(&to_end);
	sigaddset(&to_end, SIGHUP);
	sigaddset(&to_end, SIGTERM);
	sigaddset(&to_end, SIGINT);
	settle_signals(&to_end);
	umask(022);
	if (chdir("/"))
		say(tell, "cannot go to the directory /: %s", strerror(errno));
	filter_environment(true);
	settle_limits(tell);
	if (managed)
		return;
	settle_priority(tell);
	settle_oom_score(tell);
	settle_group(tell);
}

static void no_teller(const char *line)
{
	(void)line;
}

void settle_program(void)
{
	settle_priority(no_teller);
	write_text("/proc/self/oom_score_adj", "0");
}
