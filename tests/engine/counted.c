// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Files whose calls are counted.  So a process can die before the n-th of its
 * writes, syncs, holes and events of the journals, in any of the files.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "tests/engine/counted.h"
#include "tests/lib/helpers.h"

#define DEATH 9 /* the exit status */

static int calls, last_call = -1;

static void count_call(void)
{
	if (calls++ == last_call)
		_exit(DEATH);
}

static int file_io(ssize_t n, size_t length)
{
	if (n < 0)
		return -errno;
	return (size_t)n == length ? 0 : -EIO;
}

static int counted_read(void *disk, void *buffer, uint64_t offset,
			size_t length)
{
	ssize_t n = pread(((struct counted *)disk)->fd, buffer, length, offset);

	if (n < 0)
		return -errno;
	memset((char *)buffer + n, 0, length - n);
	return 0;
}

static int counted_write(void *disk, const void *buffer, uint64_t offset,
			 size_t length)
{
	struct counted *counted = disk;

	count_call();
	if (counted->on_write)
		counted->on_write();
	return file_io(pwrite(counted->fd, buffer, length, offset), length);
}

static int counted_sync(void *disk)
{
	count_call();
	return ((struct counted *)disk)->cannot_sync ? -EIO : 0;
}

static int counted_punch(void *disk, uint64_t offset, uint64_t length)
{
	count_call();
	return fallocate(((struct counted *)disk)->fd,
			 FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset,
			 length) ?
		       -errno :
		       0;
}

static uint64_t counted_size(void *disk)
{
	return lseek(((struct counted *)disk)->fd, 0, SEEK_END);
}

static void counted_event(void *disk, enum qcow_event event)
{
	(void)disk;
	(void)event;
	count_call();
}

static const struct qcow_file_ops counted_ops = {
	.read = counted_read,
	.write = counted_write,
	.sync = counted_sync,
	.punch = counted_punch,
	.size = counted_size,
};

void counted_open(struct counted *counted, const char *path)
{
	*counted = (struct counted){
		.fd = open(path, O_RDWR),
		.hooks = {
			.ops = &counted_ops,
			.disk = counted,
			.event = counted_event,
			.opaque = counted,
		},
	};
	if (counted->fd < 0)
		die("%s: %s", path, strerror(errno));
}

void counted_close(struct counted *counted)
{
	close(counted->fd);
}

bool counted_dies_at(int n, void (*life)(void))
{
	pid_t child = fork();
	int status;

	if (!child) {
		calls = 0;
		last_call = n;
		life();
		_exit(0);
	}
	if (waitpid(child, &status, 0) != child || !WIFEXITED(status) ||
	    (WEXITSTATUS(status) && WEXITSTATUS(status) != DEATH))
		die("the process that was to die at call %d failed", n);
	return WEXITSTATUS(status) == DEATH;
}
