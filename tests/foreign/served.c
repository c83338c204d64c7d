// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The image of the stand-in for qemu-io.  The engine takes whole sectors, as a
 * block device does; of requests that are not, the sectors at the ends are read
 * and written again, alone.
 */
#include <errno.h>
#include <libgen.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "tests/foreign/stand-in.h"
#include "qcow/bits.h"
#include "qcow/qcow.h"
#include "qcow/resize.h"
#include "tests/lib/clear.h"

static struct {
	struct qcow_image *image; /* NULL: none is open */
	char *path;
	/* Whole sectors are written by many at once, parts by one alone. */
	pthread_rwlock_t lock;
} served = { .lock = PTHREAD_RWLOCK_INITIALIZER };

static void print_notice(void *opaque, const char *line)
{
	(void)opaque;
	if (getenv("STAND_IN_VERBOSE"))
		fprintf(stderr, "%s\n", line);
}

int served_open(const struct asked *asked)
{
	char *copy = strdup(asked->path);
	const char *directories[] = { dirname(copy), NULL };
	struct qcow_references references = {
		.directories = directories,
		.data_directories = directories,
	};
	struct qcow_options options = {
		.read_only = asked->read_only,
		.cache = asked->direct ? QCOW_CACHE_NONE : QCOW_CACHE_WRITEBACK,
		.journal_dir = getenv("STAND_IN_JOURNALS"),
		.references = &references,
		.notice = print_notice,
	};
	struct qcow_error error = { "" };
	int ret = qcow_open(asked->path, &options, &served.image, &error);

	free(copy);
	if (ret) {
		fprintf(stderr, "qemu-io: can't open device %s: %s\n",
			asked->path, error.text);
		served.image = NULL;
		return ret;
	}
	served.path = strdup(asked->path);
	return 0;
}

int served_close(void)
{
	int ret = qcow_close(served.image);

	served.image = NULL;
	free(served.path);
	served.path = NULL;
	return ret;
}

bool served_is_open(void)
{
	return served.image;
}

bool served_read_only(void)
{
	return qcow_read_only(served.image);
}

const char *served_path(void)
{
	return served.path;
}

uint64_t served_size(void)
{
	return qcow_size(served.image);
}

/* As the block layer does, before a driver is asked. */
static int check_range(uint64_t offset, uint64_t length)
{
	uint64_t size = served_size();

	return offset > size || length > size - offset ? -EIO : 0;
}

/* The part of a range in its first sector, or, if that is whole, in all the
   whole ones that follow. */
static uint64_t next_part(uint64_t offset, uint64_t length, bool *whole)
{
	uint64_t into = offset % QCOW_SECTOR;

	*whole = !into && length >= QCOW_SECTOR;
	if (*whole)
		return length - length % QCOW_SECTOR;
	return min_u64(length, QCOW_SECTOR - into);
}

static int read_part(uint8_t *bytes, uint64_t offset, uint64_t length)
{
	uint8_t sector[QCOW_SECTOR];
	uint64_t into = offset % QCOW_SECTOR;
	int ret = qcow_read(served.image, sector, offset - into, QCOW_SECTOR);

	if (!ret)
		memcpy(bytes, sector + into, length);
	return ret;
}

int served_read(void *bytes, uint64_t offset, uint64_t length)
{
	uint8_t *to = bytes;
	int ret = check_range(offset, length);

	while (!ret && length) {
		bool whole;
		uint64_t part = next_part(offset, length, &whole);

		ret = whole ? qcow_read(served.image, to, offset, part) :
			      read_part(to, offset, part);
		to += part;
		offset += part;
		length -= part;
	}
	return ret;
}

/* bytes NULL: zeros */
static int write_part(const uint8_t *bytes, uint64_t offset, uint64_t length)
{
	uint8_t sector[QCOW_SECTOR];
	uint64_t into = offset % QCOW_SECTOR;
	int ret;

	pthread_rwlock_wrlock(&served.lock);
	ret = qcow_read(served.image, sector, offset - into, QCOW_SECTOR);
	if (!ret && bytes)
		memcpy(sector + into, bytes, length);
	else if (!ret)
		memset(sector + into, 0, length);
	if (!ret)
		ret = qcow_write(served.image, sector, offset - into,
				 QCOW_SECTOR);
	pthread_rwlock_unlock(&served.lock);
	return ret;
}

static int write_sectors(const uint8_t *bytes, uint64_t offset, uint64_t length,
			 bool unmap)
{
	int ret;

	pthread_rwlock_rdlock(&served.lock);
	ret = bytes ? qcow_write(served.image, bytes, offset, length) :
		      clear_zeroes(served.image, offset, length, unmap);
	pthread_rwlock_unlock(&served.lock);
	return ret;
}

static int change(const uint8_t *bytes, uint64_t offset, uint64_t length,
		  bool unmap)
{
	int ret = check_range(offset, length);

	while (!ret && length) {
		bool whole;
		uint64_t part = next_part(offset, length, &whole);

		ret = whole ? write_sectors(bytes, offset, part, unmap) :
			      write_part(bytes, offset, part);
		bytes = bytes ? bytes + part : NULL;
		offset += part;
		length -= part;
	}
	return ret;
}

int served_write(const void *bytes, uint64_t offset, uint64_t length)
{
	return change(bytes, offset, length, false);
}

int served_zero(uint64_t offset, uint64_t length, bool unmap)
{
	return change(NULL, offset, length, unmap);
}

/* Parts of sectors keep their data, as parts of clusters do. */
int served_discard(uint64_t offset, uint64_t length)
{
	uint64_t end = offset + length;
	int ret = check_range(offset, length);

	if (ret)
		return ret;
	offset = round_up(offset, QCOW_SECTOR);
	end -= end % QCOW_SECTOR;
	if (offset >= end)
		return 0;
	pthread_rwlock_rdlock(&served.lock);
	ret = clear_discard(served.image, offset, end - offset);
	pthread_rwlock_unlock(&served.lock);
	return ret;
}

int served_flush(void)
{
	return qcow_flush(served.image);
}

int served_grow(uint64_t size)
{
	struct qcow_error error = { "" };
	int ret = qcow_grow(served.image, size, &error);

	if (ret)
		fprintf(stderr, "qemu-io: %s\n", error.text);
	return ret;
}
