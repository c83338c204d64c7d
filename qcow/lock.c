// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The right to use an image (P4).
 *
 * QEMU marks its use of an image with read locks on single bytes: byte
 * 100 + p for a permission p that it uses, byte 200 + p for one that it does
 * not let others use.  Nobody takes write locks there; a conflict is found
 * by asking whether a write lock on the *opposite* byte would be refused.
 * Of two processes that lock first and ask afterwards, at most one goes on.
 * We do as QEMU does, so each of the two refuses the images of the other.
 *
 * Beside those, a writer of ours holds a write lock on one byte of its own,
 * the fence.  All these are locks of the open file description: the kernel
 * drops them when the last request in flight has dropped its reference to
 * it, which may be seconds after the process was reaped.  So the process that
 * gets the fence knows that a dead server's writes have landed (R14).  POSIX
 * locks vanish at the first close() of any descriptor and fence nothing.
 *
 * Locks belong to an inode, and a block device has one for each of its nodes.
 * So a writer to a device also claims it, by an exclusive open, of which
 * the kernel allows one for each device: a mount, a volume and another
 * supervisor of ours are kept out, and keep us out.  Where a supervisor has the
 * claim its server has none.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>
#include "qcow/bits.h"
#include "qcow/error.h"
#include "qcow/file.h"
#include "qcow/lock.h"

#define PERMISSION_BASE 100
#define UNSHARED_BASE	200
#define FENCE_BYTE	400

/* How long a tester waits for a fence that may never fall. */
#define FENCE_PATIENCE_MS 60000
#define FENCE_POLL_MS	  5

enum permission {
	CONSISTENT_READ = 0,
	WRITE = 1,
	RESIZE = 3,
};

static const char *permission_name(int permission)
{
	switch (permission) {
	case CONSISTENT_READ:
		return "consistent read";
	case WRITE:
		return "write";
	default:
		return "resize";
	}
}

static int lock_byte(int fd, int command, int type, off_t byte)
{
	struct flock lock = {
		.l_type = type,
		.l_whence = SEEK_SET,
		.l_start = byte,
		.l_len = 1,
	};
	int ret;

	do {
		ret = fcntl(fd, command, &lock);
	} while (ret < 0 && errno == EINTR);
	if (ret < 0)
		return -errno;
	if (command == F_OFD_GETLK && lock.l_type != F_UNLCK)
		return -EAGAIN;
	return 0;
}

static int take_fence(struct file *file, int command)
{
	if (file->test && file->test->no_fence)
		return 0;
	return lock_byte(file->fd, command, F_WRLCK, FENCE_BYTE);
}

/* As long as it takes: the caller knows that the owner is dead. */
static int fence(struct file *file, struct qcow_error *error)
{
	int ret = take_fence(file, F_OFD_SETLKW);

	return ret ? fail(error, ret, "locking it: %s", strerror(-ret)) : 0;
}

static int take(int fd, off_t base, const int *permissions, unsigned int count)
{
	for (unsigned int i = 0; i < count; i++) {
		int ret = lock_byte(fd, F_OFD_SETLK, F_RDLCK,
				    base + permissions[i]);

		if (ret)
			return ret;
	}
	return 0;
}

/* Does somebody else hold one of these bytes? */
static int test(int fd, off_t base, const int *permissions, unsigned int count,
		struct qcow_error *error)
{
	const char *shared = base == PERMISSION_BASE ? "shared " : "";

	for (unsigned int i = 0; i < count; i++) {
		int ret = lock_byte(fd, F_OFD_GETLK, F_WRLCK,
				    base + permissions[i]);

		if (ret == -EAGAIN)
			return fail(
				error, -EBUSY,
				"in use by another process (QEMU, qemu-img or a ublk-qcow2 server): cannot get the %s\"%s\" lock, byte %d; stop that process first",
				shared, permission_name(permissions[i]),
				(int)base + permissions[i]);
		if (ret)
			return fail(error, ret, "testing its locks: %s",
				    strerror(-ret));
	}
	return 0;
}

static int lock_qemu(int fd, bool read_only, bool test_others,
		     struct qcow_error *error)
{
	static const int used[] = { CONSISTENT_READ, WRITE, RESIZE };
	static const int unshared[] = { WRITE, RESIZE };
	unsigned int nr_used = read_only ? 1 : ARRAY_SIZE(used);
	int ret = take(fd, PERMISSION_BASE, used, nr_used);

	if (!ret)
		ret = take(fd, UNSHARED_BASE, unshared, ARRAY_SIZE(unshared));
	if (ret)
		return fail(error, ret, "locking it: %s", strerror(-ret));
	if (!test_others)
		return 0;
	ret = test(fd, UNSHARED_BASE, used, nr_used, error);
	if (ret)
		return ret;
	return test(fd, PERMISSION_BASE, unshared, ARRAY_SIZE(unshared), error);
}

struct qcow_lock {
	struct file file;
};

/* A live server of ours looks just like a dead one whose I/O goes on. */
static int fence_now(struct file *file, struct qcow_error *error)
{
	int ret = take_fence(file, F_OFD_SETLK);

	if (ret == -EAGAIN)
		return fail(
			error, -EINPROGRESS,
			"fenced by another ublk-qcow2 server, byte %d: it is alive, or the last I/O of its disk does not end",
			FENCE_BYTE);
	if (ret)
		return fail(error, ret, "locking it: %s", strerror(-ret));
	return 0;
}

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* So the wait for a dead server has an end. */
static int fence_patiently(struct file *file, struct qcow_error *error)
{
	const int64_t end = now_ms() + FENCE_PATIENCE_MS;
	int ret;

	while ((ret = fence_now(file, error)) == -EINPROGRESS && now_ms() < end)
		usleep(FENCE_POLL_MS * 1000);
	return ret == -EINPROGRESS ? -EBUSY : ret;
}

/* P4 */
static int claim(struct file *file, struct qcow_error *error)
{
	int fd;

	if (!file->block_device || (file->test && file->test->block_device))
		return 0;
	fd = file->names->open_again(file->names->opaque, file->fd,
				     O_RDONLY | O_EXCL | O_CLOEXEC);
	if (fd == -EBUSY)
		return fail(
			error, -EBUSY,
			"in use: the device is claimed by a mount, a volume on it, or another server; end that first");
	if (fd < 0)
		return fail(error, fd, "claiming the device: %s",
			    strerror(-fd));
	file->claim = fd;
	return 0;
}

bool lock_is_written(const struct file *file)
{
	return lock_byte(file->fd, F_OFD_GETLK, F_WRLCK,
			 PERMISSION_BASE + WRITE) == -EAGAIN;
}

int lock_image(struct file *file, const struct qcow_options *options,
	       struct qcow_error *error)
{
	bool test_others = options->locking == QCOW_LOCK_TEST;
	int ret = 0;

	if (options->look)
		return 0;
	/* R14: the fence first; then the bytes can be another's only. */
	if (!options->read_only)
		ret = test_others ? fence_patiently(file, error) :
				    fence(file, error);
	if (!ret)
		ret = lock_qemu(file->fd, options->read_only, test_others,
				error);
	if (!ret && test_others && !options->read_only)
		ret = claim(file, error);
	if (ret || test_others || !options->holder_lives)
		return ret;
	/* P4: had the holder died before we took the bytes, another process
	   could have taken them in between. */
	if (!options->holder_lives(options->opaque))
		return fail(error, -EBUSY,
			    "the process that held its locks for us has died");
	return 0;
}

/* The supervisor keeps QEMU's bytes; the fence is its server's. */
static void drop_fence(struct file *file)
{
	lock_byte(file->fd, F_OFD_SETLK, F_UNLCK, FENCE_BYTE);
}

int qcow_lock(const char *path, const struct qcow_identity *identity,
	      bool read_only, bool test_others, struct qcow_lock **result,
	      struct qcow_error *error)
{
	/* The lock needs a descriptor, not an I/O mode. */
	struct qcow_options options = {
		.read_only = read_only,
		.cache = QCOW_CACHE_WRITEBACK,
		.locking = QCOW_LOCK_TEST,
	};
	struct qcow_lock *lock = calloc(1, sizeof(*lock));
	int ret;

	if (!lock)
		return fail(error, -ENOMEM, "out of memory");
	lock->file.fd = -1;
	ret = file_open(&lock->file, path, &options, error);
	if (!ret && identity)
		ret = file_check(&lock->file, identity, error);
	/* R14: the fence first. */
	if (!ret && test_others && !read_only)
		ret = fence_now(&lock->file, error);
	if (!ret)
		ret = lock_qemu(lock->file.fd, read_only, test_others, error);
	if (!ret && !read_only)
		ret = claim(&lock->file, error);
	if (ret) {
		qcow_unlock(lock);
		return ret;
	}
	drop_fence(&lock->file);
	*result = lock;
	return 0;
}

static const int writing[] = { WRITE, RESIZE };

static void give_back(int fd)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(writing); i++)
		lock_byte(fd, F_OFD_SETLK, F_UNLCK,
			  PERMISSION_BASE + writing[i]);
}

/* P4: the bytes that let nobody else write stay, and so does the claim on a
   device, which hinders no reader. */
void qcow_lock_lower(struct qcow_lock *lock)
{
	give_back(lock->file.fd);
}

int qcow_lock_raise(struct qcow_lock *lock, struct qcow_error *error)
{
	const int fd = lock->file.fd;
	int ret = take(fd, PERMISSION_BASE, writing, ARRAY_SIZE(writing));

	if (ret)
		return fail(error, ret, "locking it: %s", strerror(-ret));
	ret = test(fd, UNSHARED_BASE, writing, ARRAY_SIZE(writing), error);
	if (!ret && !lock->file.claim)
		ret = claim(&lock->file, error);
	if (ret)
		give_back(fd);
	return ret;
}

void qcow_lock_identify(const struct qcow_lock *lock,
			struct qcow_identity *identity)
{
	*identity = lock->file.identity;
}

int qcow_lock_where(const struct qcow_lock *lock, char *path, size_t size)
{
	char self[64];
	ssize_t length;

	snprintf(self, sizeof(self), "/proc/self/fd/%d", lock->file.fd);
	length = readlink(self, path, size);
	if (length < 0)
		return -errno;
	if ((size_t)length == size)
		return -ENAMETOOLONG;
	path[length] = '\0';
	return 0;
}

void qcow_unlock(struct qcow_lock *lock)
{
	if (!lock)
		return;
	file_close(&lock->file);
	free(lock);
}
