// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The processes behind a legacy image:
 *
 *	server --- control ---> keeper		asks to kill a reader that
 *	   |			  | forks	hangs; its end is the server's
 *	   +------ data ------> reader		requests and replies; the
 *						bytes are in shared memory
 *
 * The reader runs libqcow, and may crash or hang.  Then the keeper tells the
 * server and starts another reader.  With the keeper no reader has to be forked
 * from the server later: by then the server has threads, whose locks a fork
 * leaves in any state, and a device's queues mapped, which a child must not
 * inherit.  The keeper has one thread and only its own descriptors, and never
 * looks at the image.
 *
 * Neither process outlives the server.  The keeper sees the end of the server
 * by its pidfd, and kills the reader.  (The end of the control socket alone
 * would be the word of a server that may be another's by now, and has both ends
 * to give.)  Should the keeper be killed, the kernel kills the reader.  (The
 * keeper has no parent-death signal: the signal would come when the thread that
 * opened the image ends.)
 *
 * All descriptors are closed by number, so the image's locks, which live on
 * the server's open file description, are not held here: the reader opens
 * the file for itself.
 */
#include <errno.h>
#include <fcntl.h>
#include <libqcow.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include "qcow/bits.h"
#include "qcow/legacy/legacy.h"

/* Between a reader's death and the next reader. */
#define RESTART_PAUSE_MS 100

/* At most three descriptors were kept, so the library's is among these. */
#define READER_FILES 4

/* ---- the reader ---- */

static int open_image(const struct qcow_reader *job, libqcow_file_t **file)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", job->image);
	*file = NULL;
	if (libqcow_file_initialize(file, NULL) != 1)
		return -ENOMEM;
	if (job->encrypted &&
	    libqcow_file_set_keys(*file, job->key, sizeof(job->key), NULL) != 1)
		return -EIO;
	if (libqcow_file_open(*file, path, LIBQCOW_OPEN_READ, NULL) != 1)
		return -EIO;
	return 0;
}

/* Does the library see the disk that our gate saw? */
static int check_image(const struct qcow_reader *job, libqcow_file_t *file)
{
	size64_t size;

	if (libqcow_file_get_media_size(file, &size, NULL) != 1)
		return -EIO;
	return size == job->size ? 0 : -EIO;
}

static int serve_one(const struct qcow_reader *job, libqcow_file_t *file,
		     const struct helper_request *request)
{
	ssize_t n;

	if (request->length > job->window_size)
		return -EINVAL;
	n = libqcow_file_read_buffer_at_offset(
		file, job->window, request->length, request->offset, NULL);
	return n == (ssize_t)request->length ? 0 : -EIO;
}

static void __attribute__((noreturn))
serve(const struct qcow_reader *job, libqcow_file_t *file)
{
	struct helper_request request;

	while (recv(job->data, &request, sizeof(request), 0) ==
	       sizeof(request)) {
		struct helper_reply reply = {
			.sequence = request.sequence,
			.result = serve_one(job, file, &request),
		};

		if (send(job->data, &reply, sizeof(reply), MSG_NOSIGNAL) < 0)
			break;
	}
	_exit(0);
}

static void __attribute__((noreturn))
run_reader(const struct qcow_reader *job, pid_t keeper)
{
	libqcow_file_t *file;

	prctl(PR_SET_NAME, "legacy-reader");
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != keeper)
		_exit(1);
	close(job->control);
	close(job->server);
	if (jail_enter(job->image, READER_FILES))
		_exit(1);
	if (open_image(job, &file) || check_image(job, file))
		_exit(1);
	close(job->image);
	if (jail_close())
		_exit(1);
	serve(job, file);
}

/* ---- the keeper ---- */

static int compare_descriptors(const void *a, const void *b)
{
	return *(const int *)a - *(const int *)b;
}

static int close_others(const struct qcow_reader *job)
{
	int keep[] = { job->image, job->control, job->data, job->server };
	unsigned int from = 0;

	qsort(keep, ARRAY_SIZE(keep), sizeof(keep[0]), compare_descriptors);
	for (unsigned int i = 0; i < ARRAY_SIZE(keep); i++) {
		unsigned int fd = keep[i];

		if (fd > from && close_range(from, fd - 1, 0) < 0)
			return -errno;
		from = fd + 1;
	}
	return close_range(from, ~0u, 0) < 0 ? -errno : 0;
}

/* None of the server's handlers and masks. */
static void forget_signals(void)
{
	sigset_t none;

	for (int i = 1; i < NSIG; i++)
		signal(i, SIG_DFL);
	/* A signal to the server's process group is the server's business. */
	signal(SIGINT, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	signal(SIGTERM, SIG_IGN);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

/* Is the server still there?  Takes a wish of its out of the socket. */
static bool hear_server(const struct qcow_reader *job)
{
	char wish;
	ssize_t n = recv(job->control, &wish, sizeof(wish), MSG_DONTWAIT);

	return n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR));
}

/* Until the reader is dead or shall be: true; or the server is gone: false. */
static bool watch_reader(const struct qcow_reader *job, int reader)
{
	struct pollfd polls[] = {
		{ .fd = job->control, .events = POLLIN },
		{ .fd = reader, .events = POLLIN },
		{ .fd = job->server, .events = POLLIN },
	};

	while (poll(polls, ARRAY_SIZE(polls), -1) < 0)
		if (errno != EINTR)
			return false;
	return !polls[2].revents && (!polls[0].revents || hear_server(job));
}

/* One reader's life. */
static bool keep_reader(const struct qcow_reader *job)
{
	pid_t keeper = getpid();
	pid_t reader = fork();
	bool go_on = false;
	int descriptor;

	if (!reader)
		run_reader(job, keeper);
	if (reader < 0)
		return true;
	descriptor = syscall(SYS_pidfd_open, reader, 0);
	if (descriptor >= 0) {
		go_on = watch_reader(job, descriptor);
		close(descriptor);
	}
	kill(reader, SIGKILL);
	waitpid(reader, NULL, 0);
	return go_on;
}

static bool tell_death(const struct qcow_reader *job)
{
	struct helper_reply reply = { .result = -EIO };

	return send(job->data, &reply, sizeof(reply), MSG_NOSIGNAL) >= 0;
}

/* For a while; wishes for the last reader's death do not concern the next. */
static bool pause_between(const struct qcow_reader *job)
{
	usleep(RESTART_PAUSE_MS * 1000);
	return hear_server(job);
}

void qcow_read_legacy(const struct qcow_reader *job)
{
	prctl(PR_SET_NAME, "legacy-keeper");
	forget_signals();
	/* The server may exchange the root of the processes in its own name
	   space.  A file system that is unmounted on the host must not stay
	   mounted here. */
	if (!unshare(CLONE_NEWNS))
		mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL);
	/* Before there is a reader: the two have one user, or the kernel would
	   not let the keeper's death end the reader. */
	if (close_others(job) || jail_keeper())
		_exit(1);
	while (keep_reader(job) && tell_death(job) && pause_between(job))
		;
	_exit(0);
}
