// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Processes.
 *
 * A pid in a file may belong to another process meanwhile, so a process is
 * known by its pid and its start time together.  Before a signal or a wait,
 * process_open() opens a pidfd first and compares the start time afterwards:
 * from then on the descriptor means that process and no other.
 *
 * A job is a forked child that does one thing which may block or crash.  The
 * supervisor must not do such a thing itself, since it has to watch its
 * server.  The child leaves one line of text in a pipe, and the buffer of the
 * pipe keeps the line after the end of the child.
 */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "plugin/common/log.h"
#include "plugin/common/process.h"

#ifndef PIDFD_SIGNAL_PROCESS_GROUP
#define PIDFD_SIGNAL_PROCESS_GROUP 4 /* Linux 6.9 */
#endif
#define STATUS_SIGNALLED 255
#define INITIAL_SPACE	 0xeffffffcu /* the kernel's PROC_PID_INIT_INO */

int process_lock_memory(void)
{
	return mlockall(MCL_CURRENT | MCL_FUTURE) ? -errno : 0;
}

uint64_t clock_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* -ESRCH: there is no such process.  Another failure to look is no death. */
static int read_line(pid_t pid, char *line, int size)
{
	char path[32];
	FILE *file;
	int ret = 0;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	file = fopen(path, "re");
	if (!file)
		return errno == ENOENT ? -ESRCH : -errno;
	errno = ESRCH;
	if (!fgets(line, size, file))
		ret = -errno;
	fclose(file);
	return ret;
}

static int read_stat(pid_t pid, char *state, unsigned long long *start)
{
	char line[1024], *field;
	int ret = read_line(pid, line, sizeof(line));

	if (ret)
		return ret;

	/* The name of the process stands before the fields, in parentheses,
	   and may hold anything. */
	field = strrchr(line, ')');
	if (!field ||
	    sscanf(field + 1,
		   " %c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d"
		   " %*d %*d %*d %*d %*d %llu",
		   state, start) != 2)
		return -ESRCH;
	return 0;
}

/* The pid namespace of a process, or 0. */
static uint64_t space_of(const char *pid)
{
	char path[NAME_MAX + 16];
	struct stat st;

	snprintf(path, sizeof(path), "/proc/%s/ns/pid", pid);
	return stat(path, &st) ? 0 : st.st_ino;
}

static uint64_t own_space(void)
{
	return space_of("self");
}

int process_identify(pid_t pid, struct process *process)
{
	unsigned long long start;
	char state;
	int ret = read_stat(pid, &state, &start);

	if (ret)
		return ret;
	process->pid = pid;
	process->start = start;
	process->space = own_space();
	return 0;
}

bool process_is_same(const struct process *one, const struct process *other)
{
	return one->pid == other->pid && one->start == other->start &&
	       one->space == other->space;
}

bool process_is_ours(const struct process *process)
{
	return !process->space || process->space == own_space();
}

/* Does any process that we see live in that pid namespace? */
static bool space_lives(uint64_t space)
{
	DIR *dir = opendir("/proc");
	struct dirent *entry;
	bool found = !dir;

	while (!found && (entry = readdir(dir)))
		if (isdigit((unsigned char)*entry->d_name))
			found = space_of(entry->d_name) == space;
	if (dir)
		closedir(dir);
	return found;
}

/* The initial pid namespace sees all others: a namespace that it does not see
   is gone, with all processes. */
static int look_elsewhere(const struct process *process)
{
	if (own_space() == INITIAL_SPACE && !space_lives(process->space))
		return -ESRCH;
	return -EXDEV;
}

/* EINVAL, or ENOENT in later kernels: the id is no process's.  Its process is
   just being reaped, or has gone and the id is a thread's now. */
static int open_id(pid_t pid, int *pidfd)
{
	*pidfd = pidfd_open(pid, 0);
	if (*pidfd >= 0)
		return 0;
	return errno == EINVAL || errno == ENOENT ? -ESRCH : -errno;
}

/* The state is that of the first thread.  A thread that waits for storage
   outlives the first one, and the process has let go of everything only when
   the last thread has ended. */
static int look_at_threads(pid_t pid)
{
	bool over;
	int pidfd;
	int ret = open_id(pid, &pidfd);

	if (ret)
		return ret;
	over = process_wait(pidfd, 0);
	close(pidfd);
	return over ? -ESRCH : 0;
}

/* 0: the process is alive; -ESRCH: it is not; another -errno: nothing tells
   now. */
static int look_for(const struct process *process)
{
	unsigned long long start;
	char state;
	int ret;

	if (process->pid <= 0)
		return -ESRCH;
	if (!process_is_ours(process))
		return look_elsewhere(process);
	ret = read_stat(process->pid, &state, &start);
	if (ret)
		return ret;
	if (start != process->start || state == 'X')
		return -ESRCH;
	return state == 'Z' ? look_at_threads(process->pid) : 0;
}

bool process_is_ending(const struct process *process)
{
	unsigned long long start;
	char state;

	return process_is_ours(process) &&
	       !read_stat(process->pid, &state, &start) &&
	       start == process->start && (state == 'Z' || state == 'X');
}

bool process_alive(const struct process *process)
{
	return look_for(process) != -ESRCH;
}

int process_open(const struct process *process, int *pidfd)
{
	int fd, ret;

	if (process->pid <= 0)
		return -ESRCH;
	if (!process_is_ours(process))
		return look_elsewhere(process);
	ret = open_id(process->pid, &fd);
	if (ret)
		return ret;
	/* Another process may have the id meanwhile. */
	ret = look_for(process);
	if (ret) {
		close(fd);
		return ret;
	}
	*pidfd = fd;
	return 0;
}

int process_kill(int pidfd)
{
	if (pidfd_send_signal(pidfd, SIGKILL, NULL, 0) && errno != ESRCH)
		return -errno;
	return 0;
}

void process_kill_group(int pidfd)
{
	pidfd_send_signal(pidfd, SIGKILL, NULL, PIDFD_SIGNAL_PROCESS_GROUP);
}

bool process_wait(int pidfd, int milliseconds)
{
	struct pollfd end = { .fd = pidfd, .events = POLLIN };
	uint64_t deadline = clock_ms() + milliseconds;
	int left = milliseconds;
	int found;

	do {
		found = poll(&end, 1, left);
		if (milliseconds >= 0)
			left = deadline > clock_ms() ? deadline - clock_ms() :
						       0;
	} while (found < 0 && errno == EINTR);
	return found > 0;
}

static void close_from_to(int first, int last)
{
	if (first < STDERR_FILENO + 1)
		first = STDERR_FILENO + 1;
	if (first <= last)
		close_range(first, last, 0);
}

int process_hold(pid_t child, int *pidfd)
{
	int ret;

	*pidfd = pidfd_open(child, 0);
	if (*pidfd >= 0)
		return 0;
	ret = -errno;
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	return ret;
}

void process_fresh(int keep, int keep_too)
{
	const int low = keep < keep_too ? keep : keep_too;
	const int high = keep < keep_too ? keep_too : keep;
	sigset_t none;

	log_close();
	close_from_to(0, low - 1);
	close_from_to(low + 1, high - 1);
	close_from_to(high + 1, INT_MAX);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

void process_mute(void)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	int fd;

	for (fd = STDIN_FILENO; null >= 0 && fd <= STDERR_FILENO; fd++)
		dup2(null, fd);
	if (null > STDERR_FILENO)
		close(null);
}

static void __attribute__((noreturn))
be_job(job_fn *work, const void *argument, int text_fd, pid_t parent,
       bool mortal)
{
	char text[JOB_TEXT_MAX] = "";
	int status;

	process_fresh(text_fd, -1);
	if (mortal) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != parent)
			_exit(STATUS_SIGNALLED);
	}
	status = work(argument, text);
	if (write(text_fd, text, strlen(text)) < 0)
		status = STATUS_SIGNALLED;
	_exit(status);
}

int job_start(struct job *job, job_fn *work, const void *argument, bool mortal)
{
	pid_t parent = getpid();
	int ends[2];
	int ret;

	if (pipe2(ends, O_CLOEXEC | O_NONBLOCK))
		return -errno;
	job->pid = fork();
	if (!job->pid)
		be_job(work, argument, ends[1], parent, mortal);
	ret = job->pid < 0 ? -errno : 0;
	close(ends[1]);
	job->text = ends[0];
	if (!ret)
		ret = process_hold(job->pid, &job->pidfd);
	if (!ret)
		return 0;
	close(job->text);
	job->pidfd = -1;
	return ret;
}

int job_finish(struct job *job, char text[JOB_TEXT_MAX])
{
	ssize_t length = read(job->text, text, JOB_TEXT_MAX - 1);
	int status = 0;

	text[length > 0 ? length : 0] = '\0';
	close(job->text);
	close(job->pidfd);
	job->pidfd = -1;
	if (waitpid(job->pid, &status, 0) < 0 || !WIFEXITED(status))
		return STATUS_SIGNALLED;
	return WEXITSTATUS(status);
}

int job_run(job_fn *work, const void *argument, char text[JOB_TEXT_MAX])
{
	struct job job;
	int ret = job_start(&job, work, argument, true);

	if (ret) {
		snprintf(text, JOB_TEXT_MAX, "cannot start a process: %s",
			 strerror(-ret));
		return STATUS_SIGNALLED;
	}
	process_wait(job.pidfd, -1);
	return job_finish(&job, text);
}

void job_abandon(struct job *job)
{
	process_kill(job->pidfd);
	close(job->pidfd);
	close(job->text);
	job->pidfd = -1;
}
