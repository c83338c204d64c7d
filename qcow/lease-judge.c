// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The successor's look at a lease (lease.c): has anybody written to the image
 * since its last owner did (R12)?
 *
 * If the successor finds another distance between the clocks than the owner
 * did, the wall clock was set and the upper bound means nothing.
 *
 * The time of change (ctime) would say less: it also moves when a file is
 * renamed or gets another owner, and neither harms the contents.
 *
 * A network's file system stamps by its server's clock, and a block device
 * has no times: nothing can be told there.
 */
#include <errno.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include "qcow/lease-times.h"

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

int lease_take_times(const struct file *file, struct lease_times *times)
{
	struct stat st;

	if (fstat(file->fd, &st) < 0)
		return -errno;
	times->size = st.st_size;
	times->modified = st.st_mtim.tv_sec * NS + st.st_mtim.tv_nsec;
	return 0;
}

static bool clock_was_set(const struct lease_record *record, int64_t offset)
{
	uint64_t now = clock_ns(CLOCK_BOOTTIME);
	uint64_t lived = atomic_load(&record->until) - LEASE_NS;
	/* A long lease may not have ended. */
	uint64_t since = now > lived ? now - lived : 0;

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

	if (!lease_can_tell(file) || lease_take_times(file, &now))
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
