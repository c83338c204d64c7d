// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The file with a disk's figures, ID.stats.
 *
 * The supervisor makes the file with all its room set aside, since /run may be
 * full later, and maps it.  A server is a fork of the supervisor, so it shares
 * the mapping and needs no descriptor.  A counter has one writer: it is set by
 * a plain store that is never torn.  The server dies and the counters stay;
 * the next server counts on.  A reader takes the file as it is and asks no
 * process.
 *
 * The file is of the disk that has its nonce.  The magic is written last, so a
 * file that was not finished is no file.
 *
 * The figures are a service, and no disk fails for want of them: a supervisor
 * that cannot have the file maps memory that no other process reads.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "plugin/common/process.h"
#include "plugin/common/state.h"
#include "plugin/common/stats.h"

#define MAGIC	0x7374617473716375 /* "ucqstats" */
#define VERSION 3

/* Of the versions before. */
static const size_t old_lengths[] = {
	[1] = offsetof(struct stats, progress),
	[2] = offsetof(struct stats, poisoned),
};

static void stats_path(int id, char path[PATH_MAX])
{
	snprintf(path, PATH_MAX, "%s/%d.stats", state_dir(), id);
}

static int check(const struct stats *stats, uint64_t nonce)
{
	if (stats->magic != MAGIC)
		return -ENOENT;
	if (stats->version != VERSION || stats->length != sizeof(*stats))
		return -EPROTO;
	return stats->nonce == nonce ? 0 : -ENOENT;
}

/* Is the open file that of the disk with this nonce? */
static int check_file(int fd, uint64_t nonce)
{
	struct stats stats;
	struct stat st;

	if (fstat(fd, &st))
		return -errno;
	if (st.st_size != sizeof(stats))
		return -EPROTO;
	if (pread(fd, &stats, sizeof(stats), 0) != sizeof(stats))
		return -EIO;
	return check(&stats, nonce);
}

static int map(int fd, struct stats **stats)
{
	void *memory = mmap(NULL, sizeof(**stats), PROT_READ | PROT_WRITE,
			    MAP_SHARED, fd, 0);

	if (memory == MAP_FAILED)
		return -errno;
	*stats = memory;
	return 0;
}

static int map_new(const char *path, uint64_t nonce, struct stats **stats)
{
	int fd, ret;

	/* The processes of another disk may still count in the old file. */
	unlink(path);
	fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	if (fd < 0)
		return -errno;
	ret = -posix_fallocate(fd, 0, sizeof(**stats));
	if (!ret)
		ret = map(fd, stats);
	close(fd);
	if (ret) {
		unlink(path);
		return ret;
	}
	(*stats)->version = VERSION;
	(*stats)->length = sizeof(**stats);
	(*stats)->nonce = nonce;
	(*stats)->since = time(NULL);
	__atomic_store_n(&(*stats)->magic, MAGIC, __ATOMIC_RELEASE);
	return 0;
}

static bool is_old(int fd)
{
	const ssize_t head = offsetof(struct stats, nonce);
	struct stats old;

	return pread(fd, &old, head, 0) == head && old.magic == MAGIC &&
	       old.version && old.version < VERSION &&
	       old.length == old_lengths[old.version];
}

/* An old file is the beginning of this version's.  Its server may live and
   count on in it. */
static void grow(int fd)
{
	const uint32_t version = VERSION, length = sizeof(struct stats);

	if (!is_old(fd) || posix_fallocate(fd, 0, length))
		return;
	if (pwrite(fd, &length, sizeof(length),
		   offsetof(struct stats, length)) == sizeof(length) &&
	    pwrite(fd, &version, sizeof(version),
		   offsetof(struct stats, version)) != sizeof(version))
		errno = 0; /* it is no file of ours then */
}

static int map_old(const char *path, uint64_t nonce, struct stats **stats)
{
	int fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	int ret;

	if (fd < 0)
		return -errno;
	grow(fd);
	ret = check_file(fd, nonce);
	if (!ret)
		ret = map(fd, stats);
	close(fd);
	return ret;
}

int stats_map(int id, uint64_t nonce, struct stats **stats)
{
	static struct stats nowhere;
	char path[PATH_MAX];
	int ret;

	stats_path(id, path);
	ret = map_old(path, nonce, stats);
	if (ret)
		ret = map_new(path, nonce, stats);
	if (ret)
		*stats = &nowhere;
	return ret;
}

int stats_read(int id, uint64_t nonce, struct stats *stats)
{
	char path[PATH_MAX];
	unsigned int i;
	ssize_t got;
	int fd;

	stats_path(id, path);
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return -errno;
	got = read(fd, stats, sizeof(*stats));
	close(fd);
	if (got != sizeof(*stats))
		return got < 0 ? -EIO : -EPROTO;
	/* A server that was taken over can write into the file (P6). */
	for (i = 0; i < STATS_STALLS; i++)
		stats->stalls[i].cause[sizeof(stats->stalls[i].cause) - 1] = 0;
	return check(stats, nonce);
}

void stats_rename(int from, int to)
{
	char old[PATH_MAX], new[PATH_MAX];

	stats_path(from, old);
	stats_path(to, new);
	/* If that fails the figures are not shown. */
	if (rename(old, new))
		return;
}

void stats_forget(int id)
{
	char path[PATH_MAX];

	stats_path(id, path);
	unlink(path);
}

static struct stats_stall *latest(struct stats *stats)
{
	return &stats->stalls[(stats->nr_stalls - 1) % STATS_STALLS];
}

void stats_begin_stall(struct stats *stats, const char *cause, uint64_t began)
{
	struct stats_stall *stall;

	if (stats->nr_stalls && !latest(stats)->ended)
		return;
	stall = &stats->stalls[stats->nr_stalls % STATS_STALLS];
	memset(stall, 0, sizeof(*stall));
	stall->since = time(NULL) - (clock_ms() - began) / 1000;
	stall->began = began;
	snprintf(stall->cause, sizeof(stall->cause), "%s", cause);
	__atomic_store_n(&stats->nr_stalls, stats->nr_stalls + 1,
			 __ATOMIC_RELEASE);
}

void stats_end_stall(struct stats *stats)
{
	struct stats_stall *stall = latest(stats);

	if (!stats->nr_stalls || stall->ended)
		return;
	stats_set(&stall->ms, clock_ms() - stall->began);
	stats_set(&stall->ended, 1);
}
