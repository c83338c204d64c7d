// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * replay: writes to a disk all that was written to another one, from the log
 * that the kernel's dm-log-writes kept of that.
 *
 * "replay LOG" lists the entries after which the disk is worth a look: "flush
 * N", or "mark N NAME".  "replay LOG DISK FIRST END" writes the entries from
 * FIRST to before END to the disk.
 *
 * In the log the writes that a flush makes durable stand before that flush.
 * So after any entry the disk is one that a loss of power may leave.
 *
 * The log is a sector with a header, then entries.  An entry is a sector with a
 * description, and behind it the bytes of a write; the name of a mark stands in
 * the description's sector.  Numbers are little-endian.
 */
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <linux/falloc.h>

#define MAGIC		0x6a736677736872ull
#define VERSION		1u
#define SECTOR		512u
#define PIECE		(1u << 20)
#define NAME_MAX_LENGTH 200u

enum { FLUSH = 1, FUA = 2, DISCARD = 4, MARK = 8 };

struct log_header {
	uint64_t magic, version, nr_entries;
	uint32_t sector_size;
};

struct log_entry {
	uint64_t sector, nr_sectors; /* of 512 bytes, if that is its size */
	uint64_t flags;
	uint64_t length; /* bytes of a mark's name */
};

static int log_fd, disk_fd;
static uint32_t sector_size;

static void __attribute__((noreturn, format(printf, 1, 2)))
die(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	fprintf(stderr, "replay: ");
	vfprintf(stderr, format, args);
	fprintf(stderr, "\n");
	va_end(args);
	exit(1);
}

static void must_read(void *bytes, size_t length, uint64_t offset)
{
	if (pread(log_fd, bytes, length, (off_t)offset) != (ssize_t)length)
		die("the log ends at %" PRIu64, offset);
}

static uint64_t read_header(void)
{
	struct log_header header;

	must_read(&header, sizeof(header), 0);
	if (le64toh(header.magic) != MAGIC ||
	    le64toh(header.version) != VERSION)
		die("this is no log of dm-log-writes");
	sector_size = le32toh(header.sector_size);
	if (sector_size < SECTOR || sector_size > PIECE)
		die("sectors of %" PRIu32 " bytes", sector_size);
	return le64toh(header.nr_entries);
}

static struct log_entry read_entry(uint64_t offset)
{
	struct log_entry entry;

	must_read(&entry, sizeof(entry), offset);
	entry.sector = le64toh(entry.sector);
	entry.nr_sectors = le64toh(entry.nr_sectors);
	entry.flags = le64toh(entry.flags);
	entry.length = le64toh(entry.length);
	return entry;
}

/* Of its description and of the bytes behind it. */
static uint64_t size_of(const struct log_entry *entry)
{
	if (entry->flags & DISCARD)
		return sector_size;
	return sector_size + entry->nr_sectors * sector_size;
}

static void list(uint64_t number, const struct log_entry *entry,
		 uint64_t offset)
{
	char name[NAME_MAX_LENGTH + 1] = "";

	if (entry->flags & MARK) {
		if (entry->length > NAME_MAX_LENGTH)
			die("a mark with a name of %" PRIu64 " bytes",
			    entry->length);
		must_read(name, entry->length, offset + sizeof(*entry));
		printf("mark %" PRIu64 " %s\n", number, name);
	} else if (entry->flags & (FLUSH | FUA)) {
		printf("flush %" PRIu64 "\n", number);
	}
}

static void discard(const struct log_entry *entry)
{
	if (fallocate(disk_fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
		      (off_t)(entry->sector * sector_size),
		      (off_t)(entry->nr_sectors * sector_size)))
		die("discard: %s", strerror(errno));
}

static void write_again(const struct log_entry *entry, uint64_t offset)
{
	static char bytes[PIECE];
	uint64_t left = entry->nr_sectors * sector_size;
	uint64_t to = entry->sector * sector_size;

	for (offset += sector_size; left;) {
		size_t piece = left < PIECE ? left : PIECE;

		must_read(bytes, piece, offset);
		if (pwrite(disk_fd, bytes, piece, (off_t)to) != (ssize_t)piece)
			die("write: %s", strerror(errno));
		offset += piece;
		to += piece;
		left -= piece;
	}
}

static void replay(const struct log_entry *entry, uint64_t offset)
{
	if (entry->flags & MARK || !entry->nr_sectors)
		return;
	if (entry->flags & DISCARD)
		discard(entry);
	else
		write_again(entry, offset);
}

static int must_open(const char *path, int flags)
{
	int fd = open(path, flags | O_CLOEXEC);

	if (fd < 0)
		die("%s: %s", path, strerror(errno));
	return fd;
}

int main(int argc, char **argv)
{
	uint64_t first = 0, end, offset;
	struct log_entry entry;

	if (argc != 2 && argc != 5)
		die("usage: replay LOG [DISK FIRST END]");
	log_fd = must_open(argv[1], O_RDONLY);
	end = read_header();
	if (argc == 5) {
		disk_fd = must_open(argv[2], O_RDWR);
		first = strtoull(argv[3], NULL, 0);
		end = strtoull(argv[4], NULL, 0);
	}
	offset = sector_size;
	for (uint64_t n = 0; n < end; n++, offset += size_of(&entry)) {
		entry = read_entry(offset);
		if (argc == 2)
			list(n, &entry, offset);
		else if (n >= first)
			replay(&entry, offset);
	}
	return 0;
}
