// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The kernel keeps some of the confinement of a process for each thread, and a
 * thread can only confine itself.  The engine has threads by the time that the
 * server confines itself.  So each gets a signal, whose handler does it.
 *
 * One thread after the other, and the caller last: a thread that is confined
 * may have lost the right to signal the others.
 */
#include <dirent.h>
#include <errno.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#include "plugin/server/threads.h"
#include "qcow/qcow.h"

#define PATIENCE 10 /* seconds */

#define THREADS_MAX 64

static pid_t others[THREADS_MAX];
static unsigned int nr_others;

static int (*action)(void);
static atomic_int result;
static sem_t done;

static void handle(int signal)
{
	int saved = errno;

	(void)signal;
	atomic_store(&result, action());
	sem_post(&done);
	errno = saved;
}

static int wait_for_thread(void)
{
	struct timespec end;

	clock_gettime(CLOCK_REALTIME, &end);
	end.tv_sec += PATIENCE;
	while (sem_timedwait(&done, &end) < 0)
		if (errno != EINTR)
			return -errno;
	return atomic_load(&result);
}

static int ask(pid_t thread)
{
	if (syscall(SYS_tgkill, getpid(), thread, QCOW_THREAD_SIGNAL) < 0)
		return -errno;
	return wait_for_thread();
}

static int ask_others(void)
{
	unsigned int i;
	int ret = 0;

	for (i = 0; !ret && i < nr_others; i++)
		ret = ask(others[i]);
	return ret;
}

static int note_thread(pid_t thread)
{
	if (!thread || thread == syscall(SYS_gettid)) /* 0: . and .. */
		return 0;
	if (nr_others == THREADS_MAX)
		return -E2BIG;
	others[nr_others++] = thread;
	return 0;
}

int threads_find(void)
{
	DIR *dir = opendir("/proc/self/task");
	struct dirent *entry;
	int ret = 0;

	if (!dir)
		return -errno;
	nr_others = 0;
	while (!ret && (entry = readdir(dir)))
		ret = note_thread(atoi(entry->d_name));
	closedir(dir);
	return ret;
}

int threads_all(int (*act)(void))
{
	const struct sigaction handler = {
		.sa_handler = handle,
		.sa_flags = SA_RESTART,
	};
	int ret;

	action = act;
	sem_init(&done, 0, 0);
	if (sigaction(QCOW_THREAD_SIGNAL, &handler, NULL) < 0)
		return -errno;
	ret = ask_others();
	signal(QCOW_THREAD_SIGNAL, SIG_IGN);
	return ret ? ret : act();
}
