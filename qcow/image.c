// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * An image that is open: waiting for it, the marks of its life in its header,
 * and the answers to simple questions.
 *
 * Two things in the header say that somebody writes to the image: our mark,
 * which names the journal (R12), and the bitmaps' being in use.  Both are put
 * there before the first write; each checkpoint raises the generation in the
 * mark.  The corrupt bit is set when its tables are found to contradict
 * themselves; from then on the image takes no writes.  A thread that writes the
 * header has the header's turn, so that the lock is not held over I/O.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include "qcow/checkpoint.h"
#include "qcow/error.h"
#include "qcow/layers.h"

void image_notice(struct qcow_image *image, const char *format, ...)
{
	char line[512];
	va_list args;

	if (!image->notice)
		return;
	va_start(args, format);
	vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	image->notice(image->opaque, line);
}

/* ---- waiting ---- */

void image_wait(struct qcow_image *image)
{
	image->waiters++;
	pthread_cond_wait(&image->changed, &image->lock);
	image->waiters--;
}

void image_wake(struct qcow_image *image)
{
	if (image->waiters)
		pthread_cond_broadcast(&image->changed);
}

/* ---- stable storage ---- */

int image_sync(struct qcow_image *image)
{
	int ret = image->external ? file_sync(image->data) : 0;

	return ret ? ret : file_sync(&image->file);
}

/* ---- the header's life mark ---- */

void image_take_header(struct qcow_image *image)
{
	turn_take(&image->life.header_turn, &image->lock);
}

void image_release_header(struct qcow_image *image)
{
	turn_end(&image->life.header_turn);
}

static int write_mark(struct qcow_image *image)
{
	struct life_mark mark;
	int ret = bitmaps_set_in_use(image);

	if (!ret)
		ret = header_make_room(&image->file, &image->header,
				       &image->life.area);
	if (ret)
		return ret;
	journal_get_mark(&image->journal, &mark);
	return header_write_life(&image->file, &image->header,
				 &image->life.area, &mark);
}

int image_mark(struct qcow_image *image)
{
	int ret = 0;

	image_take_header(image);
	if (!image->life.marked) {
		image_io_begin(image);
		ret = write_mark(image);
		image_io_end(image);
		if (!ret) {
			journal_set_state(&image->journal, LIFE_WRITTEN);
			shared_put(image->life.marked, true);
		}
	}
	image_release_header(image);
	return ret;
}

int image_raise_generation(struct qcow_image *image)
{
	struct journal_header *journal = image->journal.header;
	struct life_mark mark;
	int ret;

	if (!header_has_room(&image->header))
		return 0;
	image_take_header(image);
	/* R12: first the journal knows of it. */
	atomic_store(&journal->making, journal->generation + 1);
	journal_get_mark(&image->journal, &mark);
	image_io_begin(image);
	ret = header_write_mark(&image->file, &image->header, &image->life.area,
				&mark);
	image_io_end(image);
	image_release_header(image);
	return ret;
}

void image_keep_generation(struct qcow_image *image)
{
	struct journal_header *journal = image->journal.header;

	atomic_store(&journal->generation, journal->making);
}

/* An image of version 2 has no such mark. */
static int mark_corrupt(struct qcow_image *image)
{
	uint64_t bits;

	if (image->read_only || image->geometry.version < 3)
		return -ENOTSUP;
	bits = image->header.incompatible | INCOMPATIBLE_CORRUPT;
	return header_write_incompatible(&image->file, &image->header,
					 &image->life.area, bits);
}

void image_set_corrupt(struct qcow_image *image)
{
	bool first;
	int ret = 0;

	{
		LOCKED(image);
		first = !image->health.corrupt;
		shared_put(image->health.corrupt, true);
		image_take_header(image);
	}
	if (first)
		ret = mark_corrupt(image);
	{
		LOCKED(image);
		image_release_header(image);
	}
	if (first)
		image_notice(
			image,
			"its tables contradict themselves; it %s marked as corrupt and takes no more writes: repair it with 'ublk-qcow2 check -r all'",
			ret ? "cannot be" : "is");
}

/* ---- questions ---- */

uint64_t qcow_size(const struct qcow_image *image)
{
	return image->geometry.size;
}

uint32_t qcow_cluster_size(const struct qcow_image *image)
{
	return cluster_size(image);
}

bool qcow_read_only(const struct qcow_image *image)
{
	return image->read_only;
}

void qcow_identify(const struct qcow_image *image,
		   struct qcow_identity *identity)
{
	*identity = image->file.identity;
}

uint32_t qcow_alignment(const struct qcow_image *image)
{
	return image->alignment;
}

unsigned int image_fds(const struct qcow_image *image, int *fds,
		       unsigned int max, unsigned int count)
{
	if (count < max)
		fds[count] = image->file.fd;
	count++;
	if (image->external && count < max)
		fds[count] = image->data_file.fd;
	return backing_fds(image->backing, fds, max, count + image->external);
}

unsigned int image_next_index(const struct qcow_image *image)
{
	return image->file_index + 1 + image->external;
}

unsigned int qcow_fds(const struct qcow_image *image, int *fds,
		      unsigned int max)
{
	return image_fds(image, fds, max, 0);
}

void qcow_get_stats(struct qcow_image *image, struct qcow_stats *stats)
{
	LOCKED(image);
	*stats = (struct qcow_stats){
		.cache_hits = cache_count_hits(&image->cache),
		.cache_misses = image->cache.misses,
		.checkpoints = image->checkpoint.complete,
		.groups = image->groups,
	};
	if (!image->journal.header)
		return;
	stats->journal_used = journal_used(&image->journal) * 8;
	stats->journal_size = image->journal.words * 8;
}

#define CACHE_LEAST	  (4u << 20)
#define CACHE_MOST	  (128u << 20)
#define CACHE_UNDER_LEAST (1u << 20)

/*
 * By default all L2 tables of a disk of up to 1 TiB have room.  With less, a
 * read anywhere on the disk costs a second one, for the table, and a thread
 * that waits for it.  A slice that nobody asks for takes no memory.  The files
 * under the image, of which there may be many, get a quarter each.
 */
size_t image_cache_bytes(const struct qcow_image *image,
			 const struct qcow_options *options)
{
	uint64_t tables = (image->geometry.clusters * 8)
			  << image->geometry.extended;
	size_t bytes = CACHE_LEAST;

	while (bytes < tables && bytes < CACHE_MOST)
		bytes *= 2;
	if (options->cache_size)
		bytes = options->cache_size;
	return image->overlay ? max_u64(bytes / 4, CACHE_UNDER_LEAST) : bytes;
}
