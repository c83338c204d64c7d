// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * To read a hole through the mapping would fill it, on a tmpfs; so the
 * mapping is for writing only.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "tests/lib/contents.h"
#include "qcow/bits.h"

#define SECTOR	 512u
#define UNIT_MAX (2u << 20)
#define SMALL	 (64ull << 20) /* a disk that is read whole */
#define WINDOW	 (8u << 20)
#define PLACES	 2048 /* read of a hole that is larger */

void contents_open(struct contents *contents, const char *path)
{
	*contents = (struct contents){ .path = strdup(path) };
	contents->fd = open(path, O_RDWR | O_CLOEXEC);
	if (contents->fd < 0)
		die("%s: %s", path, strerror(errno));
	contents->size = lseek(contents->fd, 0, SEEK_END);
	contents->bytes = mmap(NULL, contents->size, PROT_READ | PROT_WRITE,
			       MAP_SHARED | MAP_NORESERVE, contents->fd, 0);
	if (contents->bytes == MAP_FAILED)
		die("%s: mapping %lu bytes: %s", path, contents->size,
		    strerror(errno));
	madvise(contents->bytes, contents->size, MADV_NOHUGEPAGE);
}

void contents_close(struct contents *contents)
{
	munmap(contents->bytes, contents->size);
	close(contents->fd);
	free(contents->path);
}

void window_draw(struct window *window, struct random *random, uint64_t size)
{
	const uint64_t offsets[] = { 0, size / 2 - WINDOW / 2, size - WINDOW };
	uint64_t offset;

	*window = (struct window){ .length = size };
	if (size <= SMALL)
		return;
	offset = offsets[random_below(random, ARRAY_SIZE(offsets))];
	window->offset = round_down(offset, UNIT_MAX);
	window->length = min_u64(WINDOW + UNIT_MAX, size - window->offset);
}

/* Room for the bytes that are read and for the bytes that are wanted. */
struct pair {
	uint8_t *read, *wanted;
};

static void allocate(struct pair *bytes)
{
	bytes->read = aligned_alloc(4096, UNIT_MAX);
	bytes->wanted = malloc(UNIT_MAX);
}

static void release(struct pair *bytes)
{
	free(bytes->read);
	free(bytes->wanted);
}

static void compare_piece(const struct contents *contents,
			  const struct subject *subject,
			  const struct pair *bytes, uint64_t offset,
			  size_t length)
{
	if (pread(contents->fd, bytes->wanted, length, offset) !=
	    (ssize_t)length)
		die("%s: %s", contents->path, strerror(errno));
	subject->read(subject->reader, bytes->read, offset, length);
	for (uint64_t at = 0; at < length; at += SECTOR) {
		uint64_t sector = (offset + at) / SECTOR;

		if (!memcmp(bytes->read + at, bytes->wanted + at, SECTOR))
			continue;
		if (!subject->excuses ||
		    !subject->excuses(subject->reader, sector,
				      bytes->read + at))
			die("%s: sector %lu differs", subject->what, sector);
	}
}

static void compare_all(const struct contents *contents,
			const struct subject *subject, const struct pair *bytes,
			uint64_t offset, uint64_t end)
{
	while (offset < end) {
		uint64_t next = round_down(offset, subject->unit) +
				subject->unit;

		next = min_u64(next, end);
		compare_piece(contents, subject, bytes, offset, next - offset);
		offset = next;
	}
}

/* Zeros are wanted. */
static void compare_hole(const struct contents *contents,
			 const struct subject *subject,
			 const struct pair *bytes, uint64_t offset,
			 uint64_t end)
{
	uint64_t step = round_down((end - offset) / PLACES, SECTOR);
	struct random random = { .state = offset };

	if (end - offset <= SMALL) {
		compare_all(contents, subject, bytes, offset, end);
		return;
	}
	compare_all(contents, subject, bytes, offset, offset + UNIT_MAX);
	compare_all(contents, subject, bytes, end - UNIT_MAX, end);
	for (; offset + step <= end; offset += step) {
		uint64_t at = offset +
			      random_below(&random, step / SECTOR) * SECTOR;

		compare_all(contents, subject, bytes, at,
			    min_u64(at + 8 * SECTOR, end));
	}
}

/* lseek() to data or a hole; the disk's end if there is none. */
static uint64_t seek(const struct contents *contents, uint64_t offset,
		     int whence)
{
	off_t found = lseek(contents->fd, offset, whence);

	return found < 0 ? contents->size : (uint64_t)found;
}

void contents_compare(const struct contents *contents,
		      const struct subject *subject)
{
	struct pair bytes;
	uint64_t offset = 0;

	allocate(&bytes);
	while (offset < contents->size) {
		uint64_t data = seek(contents, offset, SEEK_DATA), hole;

		compare_hole(contents, subject, &bytes, offset, data);
		hole = seek(contents, data, SEEK_HOLE);
		compare_all(contents, subject, &bytes, data, hole);
		offset = hole;
	}
	release(&bytes);
}

void contents_compare_range(const struct contents *contents,
			    const struct subject *subject, uint64_t offset,
			    uint64_t length)
{
	struct pair bytes;

	allocate(&bytes);
	compare_all(contents, subject, &bytes, offset, offset + length);
	release(&bytes);
}
