// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Ten deaths in a row, while no checkpoint can be completed.  After each death,
 * a life must be able to replay all that the journal's ring took (R16).
 *
 * The disk takes the sync of the life's mark.  After that its syncs fail, or
 * never return.  Each life discards and writes until its changes are refused or
 * have to wait.  Then it is killed.  The next life replays the journal and goes
 * on.  Every acknowledged change must read back in every life.  At last the
 * disk is well again: the image is closed, and qemu-img finds no fault.
 *
 * With a large ring the dirty sets are full first, with a small ring the ring.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "tests/lib/clear.h"
#include "tests/lib/helpers.h"
#include "qcow/file.h"
#include "qcow/format.h"
#include "qcow/image.h"

#define DEATHS	10u
#define CLUSTER 512u
#define SIZE	(96u << 20)
/* A request changes one piece; the first sector of the piece tells of the
   change. */
#define PIECE	    (64u << 10)
#define PIECES	    (SIZE / PIECE)
#define SECTOR	    512u
#define SMALL_RING  (16u << 10)
#define REFUSALS    3u /* this many in a row end the life */
#define PATIENCE_MS 300u

enum state {
	UNTOUCHED,
	DISCARDED,
	WRITTEN,
	EITHER, /* the request never ended */
};

/* Shared by the test and its children. */
static struct shared {
	_Atomic unsigned long acknowledged;
	_Atomic unsigned long beats; /* counts calls that ended */
	atomic_bool healthy;
	uint8_t states[PIECES];
	unsigned int next;   /* piece */
	unsigned long dirty; /* at the last replay */
} * shared;

static struct {
	bool stalls; /* syncs never return; else they fail */
	size_t ring;
	int fd;
	struct qcow_test_hooks hooks;
} test;

/* ---- the disk ---- */

static int disk_read(void *opaque, void *buffer, uint64_t offset, size_t length)
{
	ssize_t n = pread(test.fd, buffer, length, offset);

	(void)opaque;
	if (n < 0)
		return -errno;
	memset((char *)buffer + n, 0, length - n);
	return 0;
}

static int disk_write(void *opaque, const void *buffer, uint64_t offset,
		      size_t length)
{
	(void)opaque;
	return pwrite(test.fd, buffer, length, offset) == (ssize_t)length ?
		       0 :
		       -EIO;
}

static int disk_sync(void *opaque)
{
	(void)opaque;
	if (shared->healthy)
		return 0;
	while (test.stalls)
		pause();
	return -EIO;
}

static int disk_punch(void *opaque, uint64_t offset, uint64_t length)
{
	(void)opaque;
	return fallocate(test.fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			 offset, length) < 0 ?
		       -errno :
		       0;
}

static uint64_t disk_size(void *opaque)
{
	(void)opaque;
	return lseek(test.fd, 0, SEEK_END);
}

static struct qcow_image *open_disk(void)
{
	static const struct qcow_file_ops ops = {
		.read = disk_read,
		.write = disk_write,
		.sync = disk_sync,
		.punch = disk_punch,
		.size = disk_size,
	};
	char *path = scratch_path("image");
	struct qcow_options options = {
		.journal_dir = scratch(),
		.journal_size = test.ring,
		.inline_checkpoint = !test.stalls,
		.test = &test.hooks,
	};
	struct qcow_error error = { "" };
	struct qcow_image *image = NULL;

	test.fd = open(path, O_RDWR | O_CLOEXEC);
	test.hooks = (struct qcow_test_hooks){ .ops = &ops };
	if (test.fd < 0 || qcow_open(path, &options, &image, &error))
		die("open after %u pieces: %s", shared->next, error.text);
	free(path);
	return image;
}

/* ---- a life ---- */

static uint8_t stamp(unsigned int piece)
{
	return 1 + piece % 255;
}

static void check_all(struct qcow_image *image)
{
	static uint8_t bytes[SECTOR] __attribute__((aligned(4096)));

	for (unsigned int i = 0; i < PIECES; i++) {
		enum state state = shared->states[i];
		uint8_t byte;
		int ret = qcow_read(image, bytes, (uint64_t)i * PIECE, SECTOR);

		byte = bytes[0];
		shared->beats++;
		if (ret)
			die("read of piece %u: %s", i, strerror(-ret));
		if (state == EITHER || byte == (state == UNTOUCHED ? 255 :
						state == DISCARDED ? 0 :
								     stamp(i)))
			continue;
		die("piece %u, in state %u, holds %u", i, state, byte);
	}
}

/* Discards a piece.  Every eighth piece is only made zero, and then written
   again in its place: a fresh cluster would take growth, which takes a sync. */
static int change(struct qcow_image *image, unsigned int i)
{
	static uint8_t bytes[PIECE] __attribute__((aligned(4096)));
	uint64_t offset = (uint64_t)i * PIECE;
	int ret;

	shared->states[i] = EITHER;
	if (i % 8)
		ret = clear_discard(image, offset, PIECE);
	else
		ret = clear_zeroes(image, offset, PIECE, false);
	if (ret)
		return ret;
	shared->states[i] = DISCARDED;
	shared->acknowledged++;
	shared->beats++;
	if (i % 8)
		return 0;
	memset(bytes, stamp(i), sizeof(bytes));
	shared->states[i] = EITHER;
	ret = qcow_write(image, bytes, offset, PIECE);
	if (ret)
		return ret;
	shared->states[i] = WRITTEN;
	shared->acknowledged++;
	shared->beats++;
	return 0;
}

static unsigned long count_dirty(struct qcow_image *image)
{
	LOCKED(image);
	return image->dirty.active.used + image->dirty.frozen.used;
}

static void live(void)
{
	struct qcow_image *image = open_disk();
	unsigned int refused = 0;

	shared->dirty = count_dirty(image);
	check_all(image);
	while (refused < REFUSALS && shared->next < PIECES) {
		int ret = change(image, shared->next++);

		if (ret && ret != -EIO)
			die("a change fails otherwise than the syncs: %s",
			    strerror(-ret));
		refused = ret ? refused + 1 : 0;
	}
	if (!qcow_flush(image))
		die("a flush succeeds, although no sync does");
	check_all(image);
	kill(getpid(), SIGKILL);
}

/* Returns when the child has ended.  If syncs never return, kills the child
   when it gets no further. */
static void wait_for_end(pid_t pid)
{
	const struct timespec moment = { .tv_nsec = 1000000 };
	unsigned long before = 0;
	unsigned int idle = 0;
	int status;

	while (test.stalls && idle++ < PATIENCE_MS) {
		nanosleep(&moment, NULL);
		if (shared->beats != before)
			idle = 0;
		before = shared->beats;
	}
	if (test.stalls)
		kill(pid, SIGKILL);
	if (waitpid(pid, &status, 0) != pid || !WIFSIGNALED(status) ||
	    WTERMSIG(status) != SIGKILL)
		die("a life ends by itself");
}

static void live_and_die(void)
{
	pid_t pid;

	fflush(NULL);
	pid = fork();
	if (!pid)
		live();
	wait_for_end(pid);
}

/* ---- ten of them ---- */

/* The image is full of data, and marked as in a life. */
static void make_image(void)
{
	static uint8_t bytes[SECTOR] __attribute__((aligned(4096)));
	char *path = scratch_path("image");
	struct qcow_image *image;

	memset(shared, 0, sizeof(*shared));
	must_run(
		"rm -f %s; qemu-img create -q -f qcow2 -o cluster_size=%u,preallocation=metadata %s %u",
		path, CLUSTER, path, SIZE);
	shared->healthy = true;
	memset(bytes, 255, sizeof(bytes));
	image = open_disk();
	for (unsigned int i = 0; i < PIECES; i++)
		if (qcow_write(image, bytes, (uint64_t)i * PIECE, SECTOR))
			die("the first write of piece %u fails", i);
	if (qcow_close(image))
		die("closing the new image fails");
	close(test.fd);
	free(path);
}

static void mark_and_die(void)
{
	static uint8_t bytes[SECTOR] __attribute__((aligned(4096)));
	pid_t pid = fork();
	int status;

	if (!pid) {
		memset(bytes, 255, sizeof(bytes));
		if (qcow_write(open_disk(), bytes, 0, SECTOR))
			die("a life's first write fails");
		kill(getpid(), SIGKILL);
	}
	if (waitpid(pid, &status, 0) != pid || !WIFSIGNALED(status))
		die("the first life ends by itself");
	shared->healthy = false;
}

static void test_deaths(bool stalls, size_t ring)
{
	struct qcow_image *image;

	test.stalls = stalls;
	test.ring = ring;
	make_image();
	mark_and_die();
	for (unsigned int i = 0; i < DEATHS; i++)
		live_and_die();
	printf("%lu acknowledged, %lu assignments replayed\n",
	       (unsigned long)shared->acknowledged, shared->dirty);
	if (!ring && shared->dirty < 100000)
		die("the dirty sets were not even full");
	shared->healthy = true;
	image = open_disk();
	check_all(image);
	if (qcow_close(image))
		die("the close fails on a disk that is well");
	close(test.fd);
	must_run("qemu-img check -q %s/image", scratch());
}

int main(void)
{
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED)
		die("out of memory");
	for (unsigned int stalls = 0; stalls < 2; stalls++) {
		test_deaths(stalls, 0);
		test_deaths(stalls, SMALL_RING);
	}
	return 0;
}
