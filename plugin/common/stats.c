// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The file with a disk's figures, ID.stats.
 *
 * The supervisor makes the file with all its room set aside, since /run may be
 * full later, and maps it.  A server is a fork of the supervisor, so it shares
 * the mapping and needs no descriptor.  A counter has one writer: it is set by
 * a plain store that is never torn.  Each I/O thread has counters of its own,
 * and a reader adds them.  The server dies and the counters stay;
 * the next server counts on.  A reader takes the file as it is and asks no
 * process.
 *
 * The file is of the disk that has its nonce.  The magic is written last, so a
 * file that was not finished is no file.
 *
 * The figures are a service, and no disk fails for want of them: a supervisor
 * that cannot have the file maps memory that no other process reads.
 */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdalign.h>
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
#define VERSION 4

/* Of the versions before. */
static const size_t old_lengths[] = {
	[1] = offsetof(struct stats, progress),
	[2] = offsetof(struct stats, poisoned),
	[3] = sizeof(struct stats),
};

/* A further I/O thread, in the file.  No two threads write to one cache
   line. */
struct further {
	alignas(64) struct stats_io io[STATS_KINDS];
	uint64_t in_flight, steps, transfers;
};

#define FURTHER	   ((sizeof(struct stats) + 63) / 64 * 64)
#define LENGTH_MAX (FURTHER + (STATS_THREADS - 1) * sizeof(struct further))

static uint32_t length_for(unsigned int queues)
{
	unsigned int threads = stats_threads(queues);

	return FURTHER + (threads - 1) * sizeof(struct further);
}

static bool is_length(uint64_t length)
{
	return length >= FURTHER && length <= LENGTH_MAX &&
	       !((length - FURTHER) % sizeof(struct further));
}

static void stats_path(int id, char path[PATH_MAX])
{
	snprintf(path, PATH_MAX, "%s/%d.stats", state_dir(), id);
}

/* Is the open file that of the disk with this nonce?  Fills in *stats with the
   first I/O thread alone. */
static int read_first(int fd, uint64_t nonce, struct stats *stats)
{
	struct stat st;

	if (fstat(fd, &st))
		return -errno;
	if (pread(fd, stats, sizeof(*stats), 0) != sizeof(*stats))
		return -EPROTO;
	if (stats->magic != MAGIC)
		return -ENOENT;
	/* A server that was taken over can write any length (P6). */
	if (stats->version != VERSION || stats->length != st.st_size ||
	    !is_length(st.st_size))
		return -EPROTO;
	return stats->nonce == nonce ? 0 : -ENOENT;
}

static int check_file(int fd, uint64_t nonce, uint32_t length)
{
	struct stats stats;
	int ret = read_first(fd, nonce, &stats);

	if (ret)
		return ret;
	return stats.length == length ? 0 : -EPROTO;
}

static int map(int fd, uint32_t length, struct stats **stats)
{
	void *memory = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_SHARED,
			    fd, 0);

	if (memory == MAP_FAILED)
		return -errno;
	*stats = memory;
	return 0;
}

static int map_new(const char *path, uint64_t nonce, uint32_t length,
		   struct stats **stats)
{
	int fd, ret;

	/* The processes of another disk may still count in the old file. */
	unlink(path);
	fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	if (fd < 0)
		return -errno;
	ret = -posix_fallocate(fd, 0, length);
	if (!ret)
		ret = map(fd, length, stats);
	close(fd);
	if (ret) {
		unlink(path);
		return ret;
	}
	(*stats)->version = VERSION;
	(*stats)->length = length;
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
static void grow(int fd, uint32_t length)
{
	const uint32_t version = VERSION;

	if (!is_old(fd) || posix_fallocate(fd, 0, length))
		return;
	if (pwrite(fd, &length, sizeof(length),
		   offsetof(struct stats, length)) == sizeof(length) &&
	    pwrite(fd, &version, sizeof(version),
		   offsetof(struct stats, version)) != sizeof(version))
		errno = 0; /* it is no file of ours then */
}

static int map_old(const char *path, uint64_t nonce, uint32_t length,
		   struct stats **stats)
{
	int fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	int ret;

	if (fd < 0)
		return -errno;
	grow(fd, length);
	ret = check_file(fd, nonce, length);
	if (!ret)
		ret = map(fd, length, stats);
	close(fd);
	return ret;
}

int stats_map(int id, uint64_t nonce, unsigned int queues, struct stats **stats)
{
	static union {
		struct stats stats;
		char all[LENGTH_MAX];
	} nowhere;
	const uint32_t length = length_for(queues);
	char path[PATH_MAX];
	int ret;

	stats_path(id, path);
	ret = map_old(path, nonce, length, stats);
	if (ret)
		ret = map_new(path, nonce, length, stats);
	if (ret)
		*stats = &nowhere.stats;
	return ret;
}

struct stats_thread stats_thread(struct stats *stats, unsigned int number)
{
	struct further *further = (void *)((char *)stats + FURTHER);

	assert(number < STATS_THREADS);
	if (!number)
		return (struct stats_thread){
			.io = stats->io,
			.in_flight = &stats->in_flight,
			.steps = &stats->progress.steps,
			.transfers = &stats->progress.transfers,
		};
	further += number - 1;
	return (struct stats_thread){
		.io = further->io,
		.in_flight = &further->in_flight,
		.steps = &further->steps,
		.transfers = &further->transfers,
	};
}

static void add_io(struct stats_io *to, const struct stats_io *io)
{
	to->count += io->count;
	to->bytes += io->bytes;
	to->errors += io->errors;
	to->time += io->time;
	if (to->longest < io->longest)
		to->longest = io->longest;
	for (unsigned int i = 0; i < STATS_BUCKETS; i++)
		to->buckets[i] += io->buckets[i];
}

static int read_further(int fd, struct stats *stats)
{
	struct further further;
	off_t offset = FURTHER;

	for (; offset < stats->length; offset += sizeof(further)) {
		if (pread(fd, &further, sizeof(further), offset) !=
		    sizeof(further))
			return -EIO;
		for (unsigned int kind = 0; kind < STATS_KINDS; kind++)
			add_io(&stats->io[kind], &further.io[kind]);
		stats->in_flight += further.in_flight;
		stats->progress.steps += further.steps;
		stats->progress.transfers += further.transfers;
	}
	return 0;
}

int stats_read(int id, uint64_t nonce, struct stats *stats)
{
	char path[PATH_MAX];
	unsigned int i;
	int fd, ret;

	stats_path(id, path);
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return -errno;
	ret = read_first(fd, nonce, stats);
	if (!ret)
		ret = read_further(fd, stats);
	close(fd);
	if (ret)
		return ret;
	/* A server that was taken over can write into the file (P6). */
	for (i = 0; i < STATS_STALLS; i++)
		stats->stalls[i].cause[sizeof(stats->stalls[i].cause) - 1] = 0;
	return 0;
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
