// SPDX-License-Identifier: GPL-2.0-or-later
/* The record of acknowledged writes: see ledger.h. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/load/ledger.h"

#define COMPLAINTS 20u /* told in full; the others are counted */

struct entry {
	struct content issued, acknowledged;
};

struct file {
	struct geometry geometry;
	uint64_t blocks;
	struct entry entries[];
};

static int map_file(const char *path, size_t length, struct file **file)
{
	int fd = -1, flags = MAP_ANONYMOUS | MAP_PRIVATE;

	if (path) {
		fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
		if (fd < 0)
			return -errno;
		flags = MAP_SHARED;
		if (ftruncate(fd, (off_t)length) < 0) {
			close(fd);
			return -errno;
		}
	}
	*file = mmap(NULL, length, PROT_READ | PROT_WRITE, flags, fd, 0);
	if (fd >= 0)
		close(fd);
	return *file == MAP_FAILED ? -errno : 0;
}

int ledger_geometry(const char *path, struct geometry *geometry)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return -errno;
	n = pread(fd, geometry, sizeof(*geometry),
		  offsetof(struct file, geometry));
	close(fd);
	return n == sizeof(*geometry) ? 0 : -EINVAL;
}

int ledger_open(struct ledger *ledger, const struct geometry *geometry,
		const char *path)
{
	struct file *file;
	int ret;

	ledger->geometry = *geometry;
	ledger->wrong = 0;
	ledger->blocks = (geometry->size + geometry->stride - 1) /
			 geometry->stride;
	ret = map_file(path,
		       sizeof(*file) + ledger->blocks * sizeof(struct entry),
		       &file);
	if (ret)
		return ret;
	if (!file->blocks) {
		file->geometry = *geometry;
		file->blocks = ledger->blocks;
	}
	if (memcmp(&file->geometry, geometry, sizeof(*geometry)))
		return -EINVAL;
	ledger->entries = file->entries;
	return 0;
}

/* The ledgers do not tell which of the later generations were zeroes. */
static void allow(struct entry *entry, const struct entry *later)
{
	if (later->issued.generation == entry->issued.generation)
		return;
	entry->issued = later->issued;
	entry->issued.maybe_zero = 1;
}

int ledger_allow(struct ledger *ledger, const char *path)
{
	size_t size = ledger->blocks * sizeof(struct entry);
	struct entry *own = malloc(size);
	struct ledger later;
	int ret;

	if (!own)
		return -ENOMEM;
	ret = ledger_open(&later, &ledger->geometry, path);
	if (ret) {
		free(own);
		return ret;
	}
	memcpy(own, ledger->entries, size);
	for (uint64_t i = 0; i < ledger->blocks; i++)
		allow(&own[i], &later.entries[i]);
	ledger->entries = own;
	return 0;
}

uint64_t ledger_past(const struct ledger *ledger)
{
	uint64_t past = 0;

	for (uint64_t i = 0; i < ledger->blocks; i++)
		past += ledger->entries[i].issued.generation;
	return past;
}

uint64_t ledger_offset(const struct ledger *ledger, uint64_t block)
{
	return ledger->geometry.offset + block * ledger->geometry.stride;
}

uint32_t ledger_length(const struct ledger *ledger, uint64_t block)
{
	uint64_t left = ledger->geometry.size - block * ledger->geometry.stride;

	return left < ledger->geometry.block ? (uint32_t)left :
					       ledger->geometry.block;
}

uint32_t ledger_issue(struct ledger *ledger, uint64_t block, bool zero)
{
	struct content *issued = &ledger->entries[block].issued;

	issued->generation++;
	issued->zero = zero;
	issued->maybe_zero |= zero;
	return issued->generation;
}

void ledger_acknowledge(struct ledger *ledger, uint64_t block)
{
	struct entry *entry = &ledger->entries[block];

	entry->issued.maybe_zero = entry->issued.zero;
	entry->acknowledged = entry->issued;
}

bool ledger_touched(const struct ledger *ledger, uint64_t block)
{
	return ledger->entries[block].issued.generation;
}

/* Does the sector hold the acknowledged generation, the issued one, or one
   between? */
static bool acceptable(const struct ledger *ledger, const struct entry *entry,
		       const void *data, uint64_t sector)
{
	struct content content = entry->acknowledged;
	uint32_t seed = ledger->geometry.seed;

	if (!content.generation && !ledger->geometry.zero)
		return true;
	if (pattern_matches(data, sector, content, seed))
		return true;
	content.zero = 0;
	while (content.generation < entry->issued.generation) {
		content.generation++;
		if (pattern_matches(data, sector, content, seed))
			return true;
	}
	content.zero = 1;
	return entry->issued.maybe_zero &&
	       content.generation != entry->acknowledged.generation &&
	       pattern_matches(data, sector, content, seed);
}

static void complain(const struct ledger *ledger, uint64_t block,
		     const void *data, uint64_t sector)
{
	const struct content *content = &ledger->entries[block].acknowledged;
	char text[120];

	if (ledger->wrong > COMPLAINTS)
		return;
	pattern_describe(data, sector, ledger->geometry.seed, text,
			 sizeof(text));
	fprintf(stderr,
		"sector %" PRIu64 " holds %s; acknowledged: "
		"generation %" PRIu32 "%s, issued: %" PRIu32 "\n",
		sector, text, (uint32_t)content->generation,
		content->zero ? " (zeroes)" : "",
		(uint32_t)ledger->entries[block].issued.generation);
}

void ledger_check(struct ledger *ledger, uint64_t block, const void *data)
{
	const struct entry *entry = &ledger->entries[block];
	uint64_t sector = ledger_offset(ledger, block) / SECTOR;
	uint32_t length = ledger_length(ledger, block);
	const char *p = data;

	for (; length; length -= SECTOR, p += SECTOR, sector++) {
		if (acceptable(ledger, entry, p, sector))
			continue;
		ledger->wrong++;
		complain(ledger, block, p, sector);
	}
}
