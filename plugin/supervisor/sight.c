// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A server as the kernel shows it: the state of each thread, and the system
 * call in which the thread waits.
 *
 * The state alone is not enough.  A thread that waits for a file system in user
 * space, or for the process that reads a legacy image, sleeps in the same state
 * as a thread that waits for a lock.  So a wait counts as one for the storage
 * unless it is one of few calls: for another thread, for the ring, for a time.
 * The main thread waits in poll() for the messages of the others.
 *
 * The kernel's own threads for the ring (iou-...) are in the list, too; only
 * those that move something are of interest.
 *
 * To read these files takes no lock that a stuck thread may hold; cmdline and
 * maps, for example, would take one.
 */
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "plugin/common/queue-name.h"
#include "plugin/supervisor/sight.h"

/* The first line of a file. */
static int read_line(const char *path, char *line, int size)
{
	FILE *file = fopen(path, "re");
	int ret = 0;

	if (!file)
		return -errno;
	errno = 0;
	if (!fgets(line, size, file))
		ret = errno ? -errno : -ENODATA;
	fclose(file);
	return ret;
}

int sight_pending(int id, bool *pending)
{
	unsigned long long reads, writes;
	char path[64], line[128];
	int ret;

	snprintf(path, sizeof(path), "/sys/block/ublkb%d/inflight", id);
	ret = read_line(path, line, sizeof(line));
	if (ret)
		return ret;
	if (sscanf(line, "%llu %llu", &reads, &writes) != 2)
		return -EPROTO;
	*pending = reads || writes;
	return 0;
}

struct thread {
	char name[32];
	char state;
	uint64_t ticks; /* of processor time */
	long call;	/* -1: none */
	bool hidden;
};

/* The name is in parentheses and may hold anything. */
static int parse_stat(const char *line, struct thread *thread)
{
	const char *name = strchr(line, '('), *end = strrchr(line, ')');
	unsigned long long user, system;

	if (!name || !end ||
	    sscanf(end + 1,
		   " %c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu",
		   &thread->state, &user, &system) != 3)
		return -EPROTO;
	snprintf(thread->name, sizeof(thread->name), "%.*s",
		 (int)(end - name - 1), name + 1);
	thread->ticks = user + system;
	return 0;
}

/* "running", "-1 ..." or "202 0x...". */
static void read_call(pid_t server, const char *tid, struct thread *thread)
{
	char path[NAME_MAX + 64], line[256];

	snprintf(path, sizeof(path), "/proc/%d/task/%s/syscall", (int)server,
		 tid);
	thread->hidden = read_line(path, line, sizeof(line)) != 0;
	thread->call = thread->hidden ? -1 : atol(line);
	if (!thread->hidden && !strncmp(line, "running", 7))
		thread->state = 'R';
}

static int read_thread(pid_t server, const char *tid, struct thread *thread)
{
	char path[NAME_MAX + 64], line[1024];
	int ret;

	snprintf(path, sizeof(path), "/proc/%d/task/%s/stat", (int)server, tid);
	ret = read_line(path, line, sizeof(line));
	return ret ? ret : parse_stat(line, thread);
}

static bool is_harmless(long call, bool is_main)
{
	switch (call) {
	case SYS_futex:
	case SYS_io_uring_enter:
	case SYS_clock_nanosleep:
	case SYS_restart_syscall:
		return true;
#ifdef SYS_poll
	case SYS_poll:
#endif
	case SYS_ppoll:
		return is_main;
	default:
		return false;
	}
}

static bool is_queue(const struct thread *thread)
{
	return !strncmp(thread->name, QUEUE_NAME, strlen(QUEUE_NAME));
}

/* Is it an I/O thread, and not the one with that number? */
static bool is_other_queue(const struct thread *thread, int number)
{
	char name[QUEUE_NAME_LENGTH];

	if (number == SIGHT_ALL || !is_queue(thread))
		return false;
	queue_name(number, name);
	return strcmp(thread->name, name) != 0;
}

static void note_sleep(const struct thread *thread, bool is_main,
		       struct evidence *evidence)
{
	if (thread->hidden)
		evidence->hidden = true;
	else if (!is_harmless(thread->call, is_main))
		evidence->in_storage = true;
	else if (thread->call == SYS_io_uring_enter)
		evidence->ring_waits |= is_queue(thread);
}

static void note_thread(const struct thread *thread, bool is_main,
			struct evidence *evidence)
{
	const bool is_kernels = !strncmp(thread->name, "iou-", 4);

	switch (thread->state) {
	case 'D':
		evidence->in_storage = true;
		break;
	case 't':
		evidence->traced = true;
		break;
	case 'T':
		evidence->stopped = true;
		break;
	case 'R':
		evidence->runs |= !is_kernels;
		break;
	case 'S':
		if (!is_kernels)
			note_sleep(thread, is_main, evidence);
		break;
	default:
		break;
	}
}

/* A thread may end while we look. */
static void look_at(pid_t server, const char *tid, int number,
		    struct evidence *evidence)
{
	struct thread thread;

	if (read_thread(server, tid, &thread) ||
	    is_other_queue(&thread, number))
		return;
	read_call(server, tid, &thread);
	note_thread(&thread, atoi(tid) == server, evidence);
}

/* "0::/system.slice/..."; the group's events tell of those above it, too. */
static bool is_frozen(pid_t server)
{
	char path[PATH_MAX], line[PATH_MAX - 64];
	bool frozen = false;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/cgroup", (int)server);
	if (read_line(path, line, sizeof(line)) || strncmp(line, "0::", 3))
		return false;
	line[strcspn(line, "\n")] = '\0';
	snprintf(path, sizeof(path), "/sys/fs/cgroup%s/cgroup.events",
		 line + 3);
	file = fopen(path, "re");
	while (file && !frozen && fgets(line, sizeof(line), file))
		frozen = !strcmp(line, "frozen 1\n");
	if (file)
		fclose(file);
	return frozen;
}

static DIR *open_threads(pid_t server)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/task", (int)server);
	return opendir(path);
}

/* NULL: that was the last one. */
static const char *next_thread(DIR *threads)
{
	struct dirent *entry;

	do
		entry = readdir(threads);
	while (entry && *entry->d_name == '.');
	return entry ? entry->d_name : NULL;
}

int sight_threads(pid_t server, int number, struct evidence *evidence)
{
	DIR *threads = open_threads(server);
	const char *tid;

	if (!threads)
		return -errno;
	while ((tid = next_thread(threads)))
		look_at(server, tid, number, evidence);
	closedir(threads);
	evidence->frozen = is_frozen(server);
	return 0;
}

static int other_queues(pid_t server, int number, uint64_t *ticks)
{
	DIR *threads = open_threads(server);
	struct thread thread;
	const char *tid;

	if (!threads)
		return -errno;
	*ticks = 0;
	while ((tid = next_thread(threads)))
		if (!read_thread(server, tid, &thread) &&
		    is_other_queue(&thread, number))
			*ticks += thread.ticks;
	closedir(threads);
	return 0;
}

int sight_cpu(pid_t server, int number, uint64_t *cpu)
{
	char path[64], line[1024];
	struct thread all;
	uint64_t others = 0;
	int ret = 0;

	/* First, so that they are no more than all. */
	if (number != SIGHT_ALL)
		ret = other_queues(server, number, &others);
	snprintf(path, sizeof(path), "/proc/%d/stat", (int)server);
	if (!ret)
		ret = read_line(path, line, sizeof(line));
	if (!ret)
		ret = parse_stat(line, &all);
	if (!ret)
		*cpu = (all.ticks - others) * 1000 / sysconf(_SC_CLK_TCK);
	return ret;
}
