// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "tests/lib/clear.h"
#include "tests/lib/operations.h"
#include "qcow/image.h"

#define SECTOR 512u

unsigned long operation_copies;

static uint64_t draw_length(struct random *random, uint32_t cluster)
{
	switch (random_below(random, 4)) {
	case 0:
		return SECTOR;
	case 1:
		return SECTOR * (1 + random_below(random, 16));
	case 2:
		return cluster * (1 + random_below(random, 3));
	default:
		return SECTOR *
		       (1 + random_below(random, 3 * cluster / SECTOR));
	}
}

void operation_draw(struct operation *operation, uint32_t number,
		    struct random *random, uint64_t size, uint32_t cluster,
		    bool no_flush)
{
	static const enum operation_kind kinds[] = {
		OPERATION_WRITE,       OPERATION_WRITE,
		OPERATION_WRITE,       OPERATION_WRITE,
		OPERATION_DISCARD,     OPERATION_ZEROES_UNMAP,
		OPERATION_ZEROES_KEEP, OPERATION_FLUSH,
	};
	unsigned int n = ARRAY_SIZE(kinds) - no_flush;
	uint64_t unit = random_below(random, 2) && size >= cluster ? cluster :
								     SECTOR;

	operation->number = number;
	operation->kind = kinds[random_below(random, n)];
	operation->offset = random_below(random, size / unit) * unit;
	operation->length = min_u64(draw_length(random, cluster),
				    size - operation->offset);
}

static void *make_bytes(const struct operation *operation)
{
	uint8_t *bytes = aligned_alloc(4096, round_up(operation->length, 4096));

	for (uint64_t at = 0; at < operation->length; at += SECTOR)
		operation_stamp(bytes + at, operation->number,
				(operation->offset + at) / SECTOR);
	return bytes;
}

static int put(int fd, const struct qcow_test_hooks *hooks, const void *bytes,
	       uint64_t offset, uint64_t length)
{
	if (hooks && hooks->ops)
		return hooks->ops->write(hooks->disk, bytes, offset, length);
	return pwrite(fd, bytes, length, offset) == (ssize_t)length ? 0 : -EIO;
}

/* Does a mapped write as a queue does. */
static int move(struct qcow_image *image, struct qcow_io *io,
		const uint8_t *bytes, const struct qcow_test_hooks *hooks)
{
	static const uint8_t zeroes[4u << 20] __attribute__((aligned(4096)));
	int fds[QCOW_FILES_MAX], ret = 0;

	qcow_fds(image, fds, QCOW_FILES_MAX);
	for (unsigned int i = 0; i < io->nr_extents && !ret; i++) {
		struct qcow_extent *e = &io->extents[i];
		int fd = fds[e->file];

		if (e->zero_before)
			ret = put(fd, hooks, zeroes, e->offset - e->zero_before,
				  e->zero_before);
		if (!ret)
			ret = put(fd, hooks, bytes, e->offset, e->length);
		if (!ret && e->zero_after)
			ret = put(fd, hooks, zeroes, e->offset + e->length,
				  e->zero_after);
		bytes += e->length;
	}
	return ret;
}

/* Past the end of the file, zeros are read. */
static int get(int fd, const struct qcow_test_hooks *hooks, void *bytes,
	       uint64_t offset, uint64_t length)
{
	ssize_t n;

	if (hooks && hooks->ops)
		return hooks->ops->read(hooks->disk, bytes, offset, length);
	n = pread(fd, bytes, length, offset);
	if (n < 0)
		return -EIO;
	memset((uint8_t *)bytes + n, 0, length - n);
	return 0;
}

/* The test's disk that an image's file is on; hooks is that of the first. */
static const struct qcow_test_hooks *hooks_of(
	const struct qcow_test_hooks *hooks, unsigned int file)
{
	while (hooks && file--)
		hooks = hooks->under;
	return hooks;
}

/* Does a mapped write that has to copy, too, as a queue does. */
static int move_and_copy(struct qcow_image *image, struct qcow_io *io,
			 const uint8_t *bytes,
			 const struct qcow_test_hooks *hooks)
{
	const struct qcow_extent *e = &io->extents[0];
	const uint64_t end = io->copy.before + e->length;
	const uint64_t size = end + io->copy.after;
	uint8_t *all = aligned_alloc(4096, round_up(size, 4096));
	int fds[QCOW_FILES_MAX], ret;

	qcow_fds(image, fds, QCOW_FILES_MAX);
	ret = get(fds[io->copy.file], hooks_of(hooks, io->copy.file), all,
		  io->copy.offset, size);
	memcpy(all + io->copy.before, bytes, e->length);
	if (!ret)
		ret = put(fds[e->file], hooks, all, e->offset - io->copy.before,
			  size);
	free(all);
	operation_copies += !ret;
	return ret;
}

static int write_mapped(const struct operation *operation,
			struct qcow_image *image, const void *bytes,
			const struct qcow_test_hooks *hooks)
{
	struct qcow_io io;
	int ret = qcow_map_write(image, &io, operation->offset,
				 operation->length);

	if (ret == QCOW_MUST_BLOCK)
		ret = qcow_map_copy(image, &io, operation->offset,
				    operation->length);
	if (ret)
		return ret;
	if (io.copy.before || io.copy.after)
		ret = move_and_copy(image, &io, bytes, hooks);
	else
		ret = move(image, &io, bytes, hooks);
	return qcow_finish(image, &io, ret);
}

static int do_write(const struct operation *operation, struct qcow_image *image,
		    bool mapped, const struct qcow_test_hooks *hooks)
{
	void *bytes = make_bytes(operation);
	int ret = QCOW_MUST_BLOCK;

	if (mapped)
		ret = write_mapped(operation, image, bytes, hooks);
	if (ret == QCOW_MUST_BLOCK || ret == QCOW_NO_SPACE_YET || ret == -EBUSY)
		ret = qcow_write(image, bytes, operation->offset,
				 operation->length);
	free(bytes);
	return ret;
}

int operation_do(const struct operation *operation, struct qcow_image *image,
		 bool mapped, const struct qcow_test_hooks *hooks)
{
	uint64_t offset = operation->offset, length = operation->length;
	bool unmap;

	switch (operation->kind) {
	case OPERATION_WRITE:
		return do_write(operation, image, mapped, hooks);
	case OPERATION_DISCARD:
		return mapped ? clear_discard(image, offset, length) :
				qcow_discard(image, offset, length);
	case OPERATION_ZEROES_UNMAP:
	case OPERATION_ZEROES_KEEP:
		unmap = operation->kind == OPERATION_ZEROES_UNMAP;
		return mapped ? clear_zeroes(image, offset, length, unmap) :
				qcow_write_zeroes(image, offset, length, unmap);
	case OPERATION_FLUSH:
		return qcow_flush(image);
	}
	return -EINVAL;
}

/* Discards change whole clusters only; the disk's end makes one whole. */
static void shrink_to_clusters(uint64_t *start, uint64_t *end, uint64_t size,
			       uint32_t cluster)
{
	*start = round_up(*start, cluster);
	if (*end != size)
		*end = round_down(*end, cluster);
}

bool operation_changes(const struct operation *operation, uint64_t sector,
		       uint64_t size, uint32_t cluster, uint32_t *stamp_out)
{
	uint64_t start = operation->offset;
	uint64_t end = start + operation->length;

	if (operation->kind == OPERATION_FLUSH)
		return false;
	if (operation->kind == OPERATION_DISCARD)
		shrink_to_clusters(&start, &end, size, cluster);
	*stamp_out = operation->kind == OPERATION_WRITE ? operation->number : 0;
	return sector * SECTOR >= start && sector * SECTOR < end;
}

void operation_apply(const struct operation *operation, uint8_t *copy,
		     uint64_t size, uint32_t cluster)
{
	uint64_t first = operation->offset / SECTOR;
	uint64_t end = first + operation->length / SECTOR;

	for (uint64_t s = first; s < end; s++) {
		uint32_t number;

		if (!operation_changes(operation, s, size, cluster, &number))
			continue;
		if (number)
			operation_stamp(copy + s * SECTOR, number, s);
		else
			memset(copy + s * SECTOR, 0, SECTOR);
	}
}

void operation_stamp(uint8_t bytes[SECTOR], uint32_t number, uint64_t sector)
{
	uint64_t words[SECTOR / 8];

	for (unsigned int i = 0; i < ARRAY_SIZE(words); i++)
		words[i] = (uint64_t)number << 32 | (uint32_t)(sector + 1);
	memcpy(bytes, words, SECTOR);
}

uint32_t stamp_of(const uint8_t bytes[SECTOR], uint64_t sector,
		  const char *where)
{
	uint64_t words[SECTOR / 8];

	memcpy(words, bytes, SECTOR);
	for (unsigned int i = 1; i < ARRAY_SIZE(words); i++)
		if (words[i] != words[0])
			die("%s: sector %lu is torn", where, sector);
	if (words[0] && (uint32_t)words[0] != (uint32_t)(sector + 1))
		die("%s: sector %lu holds bytes of another (%#lx)", where,
		    sector, words[0]);
	return words[0] >> 32;
}
