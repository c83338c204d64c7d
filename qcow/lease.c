// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The lease.  The owner of an image leaves traces of its last write.  By these
 * a successor sees whether another program wrote to the image afterwards, or
 * put older contents back (R12).  A mark in the image does not tell that: a
 * copy of the image bears the mark, too, and some images have no room for it.
 *
 * At rest, with no write in flight, the record has each file's size and time
 * of modification.  The successor must find exactly these; no clock is asked.
 *
 * With writes in flight the times that they leave are not known yet.  The
 * record then has bounds.  The lower bound is the times as they were a moment
 * ago: an older copy, put back with its times, is older than that.  The upper
 * bound is the lease.  The owner renews the lease before a write begins, and a
 * thread renews it while a write takes long; so the lease ends soon after the
 * owner's death.  A write that the kernel has queued behind others may get its
 * turn later, and stamps the file then: the successor judges by other evidence
 * how much later that may be.  The lease is kept by the clock that nobody sets,
 * with the distance between that clock and the wall clock, by which files are
 * stamped.  If the successor finds another distance, the wall clock was set and
 * the upper bound means nothing.
 *
 * The time of change (ctime) would say less: it also moves when a file is
 * renamed or gets another owner, and neither harms the contents.
 *
 * A network's file system stamps by its server's clock, and a block device
 * has no times: nothing can be told there.
 *
 * Each thread counts the writes that begin and end in a shard of its own.  No
 * write is in flight if all that have begun had ended before, so the ends are
 * summed up first.  The lease's thread takes the times within TICK_NS of the
 * end of the last write.  They hold if nothing has begun meanwhile: a write
 * counts in the record, too, while the lease is watched.  The watch lasts from
 * before the look for writes in flight to the end of the rest.  The look sees
 * each write that has not seen the watch.  Others end the rest before their
 * I/O. The end of a write does not take the times.  A disk that gets one write
 * at a time would take them after each.  On file systems with times of a fine
 * grain (Linux 6.13) the next write would then have to store a new time, and
 * that costs more than the write.  Without a thread, the caller that ends the
 * last write takes the times.  At most one thread takes them.
 */
#include <errno.h>
#include <linux/magic.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <time.h>
#include "qcow/lease.h"

#define NS	 1000000000ull
#define LEASE_NS 300000000ull /* how far ahead it promises */
#define RENEW_NS 100000000ull /* how often, at the most */
#define TICK_NS	 50000000ull  /* the thread's */
#define STEP_NS	 100000000ull /* of a clock that was set */
#define SKEW_NS	 10000000ull

#ifndef CIFS_SUPER_MAGIC
#define CIFS_SUPER_MAGIC 0xff534d42u
#endif
#ifndef SMB2_SUPER_MAGIC
#define SMB2_SUPER_MAGIC 0xfe534d42u
#endif
#ifndef FUSE_SUPER_MAGIC
#define FUSE_SUPER_MAGIC 0x65735546u
#endif
#define LUSTRE_SUPER_MAGIC 0x0bd00bd0u
#define GPFS_SUPER_MAGIC   0x47504653u
#define GFS2_SUPER_MAGIC   0x01161970u

/* Where another host's clock may have stamped the file. */
static const uint32_t elsewhere[] = {
	NFS_SUPER_MAGIC,  SMB_SUPER_MAGIC,   CIFS_SUPER_MAGIC,
	SMB2_SUPER_MAGIC, CEPH_SUPER_MAGIC,  FUSE_SUPER_MAGIC,
	V9FS_MAGIC,	  AFS_SUPER_MAGIC,   AFS_FS_MAGIC,
	CODA_SUPER_MAGIC, OCFS2_SUPER_MAGIC, LUSTRE_SUPER_MAGIC,
	GPFS_SUPER_MAGIC, GFS2_SUPER_MAGIC,
};

static uint64_t clock_ns(clockid_t id)
{
	struct timespec now;

	clock_gettime(id, &now);
	return now.tv_sec * NS + now.tv_nsec;
}

static uint64_t distance(int64_t a, int64_t b)
{
	return a > b ? a - b : b - a;
}

bool lease_can_tell(const struct file *file)
{
	struct statfs fs;

	if ((file->test && file->test->ops) || file->block_device ||
	    fstatfs(file->fd, &fs) < 0)
		return false;
	for (size_t i = 0; i < sizeof(elsewhere) / sizeof(*elsewhere); i++)
		if ((uint32_t)fs.f_type == elsewhere[i])
			return false;
	return true;
}

void lease_init(struct lease *lease)
{
	pthread_condattr_t attributes;

	*lease = (struct lease){ .taking = ATOMIC_FLAG_INIT };
	pthread_mutex_init(&lease->lock, NULL);
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&lease->work, &attributes);
	pthread_condattr_destroy(&attributes);
}

static int take(const struct file *file, struct lease_times *times)
{
	struct stat st;

	if (fstat(file->fd, &st) < 0)
		return -errno;
	times->size = st.st_size;
	times->modified = st.st_mtim.tv_sec * NS + st.st_mtim.tv_nsec;
	return 0;
}

/* ---- the successor's look ---- */

static bool clock_was_set(const struct lease_record *record, int64_t offset)
{
	uint64_t since = clock_ns(CLOCK_BOOTTIME) -
			 (atomic_load(&record->until) - LEASE_NS);

	/* A clock that is put right gently moves by a thousandth. */
	return distance(offset, atomic_load(&record->offset)) >
	       STEP_NS + since / 1000;
}

static enum lease_verdict judge_bounds(const struct lease_record *record,
				       const struct lease_times *known,
				       const struct lease_times *now,
				       int64_t slack)
{
	int64_t offset = clock_ns(CLOCK_REALTIME) - clock_ns(CLOCK_BOOTTIME);
	int64_t old = atomic_load(&record->offset);
	int64_t until = atomic_load(&record->until) +
			(offset > old ? offset : old);

	if (now->size < known->size)
		return LEASE_BROKEN;
	if (clock_was_set(record, offset))
		return LEASE_UNKNOWN;
	if (now->modified < known->modified)
		return LEASE_BROKEN;
	return slack == LEASE_NO_END ||
			       (int64_t)now->modified - slack <= until ?
		       LEASE_KEPT :
		       LEASE_BROKEN;
}

static enum lease_verdict judge_file(const struct lease_record *record,
				     unsigned int i, const struct file *file,
				     int64_t slack)
{
	const struct lease_times *known = &record->times[i];
	struct lease_times now;

	if (!lease_can_tell(file) || take(file, &now))
		return LEASE_UNKNOWN;
	if (atomic_load(&record->rest) != atomic_load(&record->begun))
		return judge_bounds(record, known, &now, slack);
	return now.size == known->size && now.modified == known->modified ?
		       LEASE_KEPT :
		       LEASE_BROKEN;
}

enum lease_verdict lease_judge(const struct lease_record *record,
			       const struct file *image,
			       const struct file *data, int64_t slack)
{
	enum lease_verdict a = judge_file(record, 0, image, slack);
	enum lease_verdict b = data ? judge_file(record, 1, data, slack) :
				      LEASE_KEPT;

	if (a == LEASE_BROKEN || b == LEASE_BROKEN)
		return LEASE_BROKEN;
	return a == LEASE_UNKNOWN || b == LEASE_UNKNOWN ? LEASE_UNKNOWN :
							  LEASE_KEPT;
}

/* ---- the owner's record ---- */

static bool is_in_flight(struct lease *lease)
{
	unsigned int count = shards_of_threads(), i;
	uint64_t left = 0;

	for (i = 0; i < count; i++)
		left -= atomic_load(&lease->shards[i].ended);
	for (i = 0; i < count; i++)
		left += atomic_load(&lease->shards[i].begun);
	return left;
}

static bool take_all(struct lease *lease)
{
	struct lease_record *record = lease->record;
	bool taken = true;

	for (unsigned int i = 0; i < LEASE_FILES; i++)
		if (lease->files[i])
			taken &= !take(lease->files[i], &record->times[i]);
	return taken;
}

static void take_times(struct lease *lease)
{
	struct lease_record *record = lease->record;
	uint64_t begun;
	bool at_rest;

	if (atomic_flag_test_and_set(&lease->taking))
		return;
	/* A death in between leaves bounds, each of which is one. */
	atomic_store(&record->rest, 0);
	atomic_store(&lease->watched, true);
	begun = atomic_load(&record->begun);
	at_rest = !is_in_flight(lease);
	if (take_all(lease) && at_rest && atomic_load(&record->begun) == begun)
		atomic_store(&record->rest, begun);
	else
		atomic_store(&lease->watched, false);
	atomic_flag_clear(&lease->taking);
}

/* Times of before the clock was set are no bound for those of after. */
static void forget_times(struct lease *lease)
{
	if (atomic_flag_test_and_set(&lease->taking))
		return;
	for (unsigned int i = 0; i < LEASE_FILES; i++)
		lease->record->times[i].modified = 0;
	atomic_flag_clear(&lease->taking);
}

static void renew(struct lease *lease)
{
	struct lease_record *record = lease->record;
	uint64_t boot = clock_ns(CLOCK_BOOTTIME);
	int64_t offset = clock_ns(CLOCK_REALTIME) - boot;
	uint64_t mono = clock_ns(CLOCK_MONOTONIC_COARSE);

	if (distance(offset, atomic_load(&record->offset)) > STEP_NS)
		forget_times(lease);
	atomic_store(&lease->skew, clock_ns(CLOCK_REALTIME_COARSE) - mono);
	atomic_store(&lease->due, mono + RENEW_NS);
	atomic_store(&record->offset, offset);
	atomic_store(&record->until, boot + LEASE_NS);
}

static bool is_due(struct lease *lease)
{
	uint64_t mono = clock_ns(CLOCK_MONOTONIC_COARSE);
	int64_t skew = clock_ns(CLOCK_REALTIME_COARSE) - mono;

	return mono >= atomic_load_explicit(&lease->due,
					    memory_order_relaxed) ||
	       distance(skew, atomic_load_explicit(&lease->skew,
						   memory_order_relaxed)) >
		       SKEW_NS;
}

static void wake_thread(struct lease *lease)
{
	pthread_mutex_lock(&lease->lock);
	atomic_store(&lease->asleep, false);
	pthread_cond_signal(&lease->work);
	pthread_mutex_unlock(&lease->lock);
}

void lease_begin(struct lease *lease)
{
	if (!lease || !lease->record)
		return;
	/* R12: all of this before the write. */
	atomic_fetch_add(&lease->shards[shard_of_thread()].begun, 1);
	if (atomic_load(&lease->watched))
		atomic_fetch_add(&lease->record->begun, 1);
	if (is_due(lease))
		renew(lease);
	if (atomic_load(&lease->asleep))
		wake_thread(lease);
}

void lease_end(struct lease *lease)
{
	if (!lease || !lease->record)
		return;
	atomic_fetch_add(&lease->shards[shard_of_thread()].ended, 1);
	if (!lease->has_thread && !is_in_flight(lease))
		take_times(lease);
}

/* ---- the thread ---- */

static bool is_at_rest(const struct lease *lease)
{
	return atomic_load(&lease->record->rest) ==
	       atomic_load(&lease->record->begun);
}

static void tick(struct lease *lease)
{
	if (is_in_flight(lease))
		renew(lease);
	take_times(lease);
}

/* With the lock. */
static void pause_thread(struct lease *lease)
{
	struct timespec until;
	uint64_t ns;

	if (!is_at_rest(lease)) {
		ns = clock_ns(CLOCK_MONOTONIC) + TICK_NS;
		until = (struct timespec){ ns / NS, ns % NS };
		pthread_cond_timedwait(&lease->work, &lease->lock, &until);
		return;
	}
	/* A thread that begins a write counts it, and looks at this then. */
	atomic_store(&lease->asleep, true);
	while (!lease->stopping && is_at_rest(lease))
		pthread_cond_wait(&lease->work, &lease->lock);
	atomic_store(&lease->asleep, false);
}

static void *lease_thread(void *argument)
{
	struct lease *lease = argument;

	pthread_mutex_lock(&lease->lock);
	while (!lease->stopping) {
		pause_thread(lease);
		if (!lease->stopping && !is_at_rest(lease))
			tick(lease);
	}
	pthread_mutex_unlock(&lease->lock);
	return NULL;
}

static int start_thread(struct lease *lease)
{
	sigset_t all, old;
	int ret;

	/* Signals are for the program's own threads. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	ret = -pthread_create(&lease->thread, NULL, lease_thread, lease);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	lease->has_thread = !ret;
	return ret;
}

/* ---- begin and end ---- */

int lease_start(struct lease *lease, struct lease_record *record,
		const struct file *image, const struct file *data,
		bool with_thread)
{
	if (!lease_can_tell(image))
		return 0;
	lease->record = record;
	lease->files[0] = image;
	lease->files[1] = data && lease_can_tell(data) ? data : NULL;
	renew(lease);
	/* All that was in flight has ended with the fence (R14). */
	atomic_fetch_add(&record->begun, 1);
	take_times(lease);
	return with_thread ? start_thread(lease) : 0;
}

void lease_stop(struct lease *lease)
{
	if (lease->has_thread) {
		pthread_mutex_lock(&lease->lock);
		lease->stopping = true;
		pthread_cond_signal(&lease->work);
		pthread_mutex_unlock(&lease->lock);
		pthread_join(lease->thread, NULL);
	}
	lease->has_thread = false;
	lease->record = NULL;
	pthread_cond_destroy(&lease->work);
	pthread_mutex_destroy(&lease->lock);
}
