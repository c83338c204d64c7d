// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The recording disk.  It grows by writes past its end, like a file, and
 * reads as zero there, unless its size is limited.  With fail_at it fails the
 * n-th I/O from now, once.
 */
#include <assert.h>
#include <errno.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "qcow/qcow.h"
#include "tests/lib/disk.h"
#include "tests/lib/helpers.h"

/* How much a test may make its disk grow. */
#define GROWTH	  (6u << 20)
#define AHEAD	  (8u << 10) /* a few clusters, or one */
#define MAX_STEPS (1u << 16)
#define LARGE	  (1 << 20)

static uint8_t *copy_journal(const struct disk *disk)
{
	size_t size;

	if (!disk->journal_path)
		return NULL;
	return read_file(disk->journal_path, &size);
}

static void remember(struct disk *disk, enum step_kind kind, uint64_t offset,
		     const void *bytes, size_t length)
{
	struct step *step;

	if (!disk->recording)
		return;
	assert(disk->nr_steps < MAX_STEPS);
	step = &disk->steps[disk->nr_steps++];
	*step = (struct step){
		.kind = kind,
		.offset = offset,
		.length = length,
		.journal = copy_journal(disk),
		.begun = disk->begun,
		.acked = disk->acked,
	};
	if (bytes) {
		step->bytes = malloc(length);
		memcpy(step->bytes, bytes, length);
	}
}

static bool fails_now(struct disk *disk)
{
	return disk->fail_at >= 0 && disk->countdown++ == disk->fail_at;
}

static void unlock(struct disk **disk)
{
	pthread_mutex_unlock(&(*disk)->lock);
}

static struct disk *lock(struct disk *disk)
{
	pthread_mutex_lock(&disk->lock);
	return disk;
}

/* For the rest of the enclosing block. */
#define LOCKED_DISK(which) \
	struct disk *locked_disk \
		__attribute__((cleanup(unlock), unused)) = lock(which)

static int disk_read(void *opaque, void *buffer, uint64_t offset, size_t length)
{
	struct disk *disk = opaque;
	int ret = disk->on_read ? disk->on_read(disk, offset) : 0;

	if (ret)
		return ret;
	LOCKED_DISK(disk);
	if (fails_now(disk))
		return disk->fail_with;
	assert(offset + length <= disk->capacity);
	memcpy(buffer, disk->bytes + offset, length);
	return 0;
}

static int disk_write(void *opaque, const void *buffer, uint64_t offset,
		      size_t length)
{
	struct disk *disk = opaque;
	int ret = disk->on_write ? disk->on_write(disk, offset) : 0;

	if (ret)
		return ret;
	LOCKED_DISK(disk);
	if (fails_now(disk))
		return disk->fail_with;
	if (disk->limit && offset + length > disk->limit)
		return -ENOSPC;
	assert(offset + length <= disk->capacity);
	memcpy(disk->bytes + offset, buffer, length);
	disk->size = max_u64(disk->size, offset + length);
	remember(disk, STEP_WRITE, offset, buffer, length);
	return 0;
}

static int disk_sync(void *opaque)
{
	struct disk *disk = opaque;

	int n = disk->syncs++;

	if (disk->on_sync)
		disk->on_sync(disk);
	LOCKED_DISK(disk);
	if (n == disk->fail_sync)
		return -EIO;
	if (fails_now(disk))
		return disk->fail_with;
	remember(disk, STEP_SYNC, 0, NULL, 0);
	return 0;
}

static int disk_punch(void *opaque, uint64_t offset, uint64_t length)
{
	struct disk *disk = opaque;

	LOCKED_DISK(disk);
	if (disk->hooks.block_device)
		return -EOPNOTSUPP;
	if (offset < disk->size)
		memset(disk->bytes + offset, 0,
		       min_u64(length, disk->size - offset));
	remember(disk, STEP_PUNCH, offset, NULL, length);
	return 0;
}

/* Near its limit it gets as long as it can, as some file systems make it. */
static int disk_set_aside(void *opaque, uint64_t offset, uint64_t length)
{
	struct disk *disk = opaque;
	uint64_t end = offset + length;
	bool fits = !disk->limit || end <= disk->limit;

	LOCKED_DISK(disk);
	if (disk->refuses_room)
		return disk->refuses_room;
	end = fits ? end : disk->limit;
	assert(end <= disk->capacity);
	disk->size = max_u64(disk->size, end);
	remember(disk, STEP_SET_ASIDE, offset, NULL, length);
	return fits ? 0 : -ENOSPC;
}

static int disk_cut(void *opaque, uint64_t size)
{
	struct disk *disk = opaque;

	LOCKED_DISK(disk);
	if (size >= disk->size)
		return 0;
	remember(disk, STEP_CUT, size, NULL, disk->size - size);
	memset(disk->bytes + size, 0, disk->size - size);
	disk->size = size;
	return 0;
}

static uint64_t disk_size(void *opaque)
{
	struct disk *disk = opaque;

	LOCKED_DISK(disk);
	return disk->size;
}

static void on_event(void *opaque, enum qcow_event event)
{
	(void)event;
	LOCKED_DISK(opaque);
	remember(opaque, STEP_JOURNAL, 0, NULL, 0);
}

static void set_hooks(struct disk *disk)
{
	static const struct qcow_file_ops ops = {
		.read = disk_read,
		.write = disk_write,
		.sync = disk_sync,
		.punch = disk_punch,
		.size = disk_size,
		.set_aside = disk_set_aside,
		.cut = disk_cut,
	};

	disk->hooks = (struct qcow_test_hooks){
		.ops = &ops,
		.disk = disk,
		.event = on_event,
		.opaque = disk,
		.ahead = AHEAD,
	};
	pthread_mutex_init(&disk->lock, NULL);
	disk->fail_at = -1;
	disk->fail_sync = -1;
}

void disk_load(struct disk *disk, const char *path)
{
	size_t size;
	uint8_t *bytes = read_file(path, &size);

	assert(bytes);
	/* Large memory comes from the kernel each time: of its zeros only those
	   are made that are used. */
	mallopt(M_MMAP_THRESHOLD, LARGE);
	*disk = (struct disk){
		.bytes = calloc(1, size + GROWTH),
		.size = size,
		.capacity = size + GROWTH,
	};
	memcpy(disk->bytes, bytes, size);
	free(bytes);
	set_hooks(disk);
}

void disk_make_device(struct disk *disk, size_t more)
{
	assert(disk->size + more <= disk->capacity);
	memset(disk->bytes + disk->size, 0xe5, more);
	disk->size += more;
	disk->hooks.block_device = true;
	disk->limit = disk->size;
}

void disk_limit(struct disk *disk, size_t size)
{
	assert(size <= disk->capacity);
	disk->limit = size;
}

void disk_grow(struct disk *disk, size_t more)
{
	if (disk->hooks.block_device)
		disk_make_device(disk, more);
	else
		disk_limit(disk, disk->limit + more);
}

void disk_copy(struct disk *to, const struct disk *from)
{
	*to = (struct disk){
		.bytes = calloc(1, from->capacity),
		.size = from->size,
		.capacity = from->capacity,
	};
	memcpy(to->bytes, from->bytes, from->size);
	set_hooks(to);
	to->hooks.block_device = from->hooks.block_device;
	to->limit = from->limit;
}

void disk_free(struct disk *disk)
{
	for (unsigned int i = 0; i < disk->nr_steps; i++) {
		free(disk->steps[i].bytes);
		free(disk->steps[i].journal);
	}
	free(disk->steps);
	free(disk->bytes);
}

void disk_record(struct disk *disk, const char *journal_path)
{
	disk->journal_path = journal_path;
	disk->steps = calloc(MAX_STEPS, sizeof(*disk->steps));
	disk->recording = true;
}

void disk_apply(struct disk *disk, const struct step *step)
{
	if (step->kind == STEP_WRITE)
		disk_write(disk, step->bytes, step->offset, step->length);
	else if (step->kind == STEP_PUNCH)
		disk_punch(disk, step->offset, step->length);
	else if (step->kind == STEP_SET_ASIDE)
		disk_set_aside(disk, step->offset, step->length);
	else if (step->kind == STEP_CUT)
		disk_cut(disk, step->offset);
}

void disk_save(const struct disk *disk, const char *path)
{
	write_file(path, disk->bytes, disk->size);
}

struct qcow_image *disk_open(struct disk *disk, size_t journal_size, bool force,
			     const char *name)
{
	struct qcow_error error = { "" };
	struct qcow_image *image;
	char *journals = scratch_path("journals");
	char *path = scratch_path("image");
	struct qcow_options options = {
		.journal_dir = journals,
		.journal_size = journal_size,
		.inline_checkpoint = true,
		.force = force,
		.test = &disk->hooks,
	};

	if (qcow_open(path, &options, &image, &error))
		die("%s: open: %s", name, error.text);
	free(journals);
	free(path);
	return image;
}
