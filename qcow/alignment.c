// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The unit of direct I/O on a file: of offset, length and memory.
 *
 * The kernel is asked: a block device for its logical block size, the file
 * system by statx().  Where a file system does not say, a read is tried.  A
 * hole is read without the disk, with any alignment.  So only a read of bytes
 * that are on the disk can fail, and only such a read is believed.  If the file
 * has no such bytes, the disk below the file system decides.  If that is not
 * known, the unit is a page: too large a unit costs a little, and too small a
 * unit is EINVAL for the guest.
 */
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>
#include "qcow/bits.h"
#include "qcow/file.h"

#define PAGE 4096u

/* Older headers lack these. */
#ifndef STATX_DIOALIGN
#define STATX_DIOALIGN 0x2000u
#endif
#define STATX_DIO_MEM_ALIGN    0x98 /* offset in struct statx */
#define STATX_DIO_OFFSET_ALIGN 0x9c

static uint32_t field(const struct statx *stx, size_t offset)
{
	uint32_t value;

	memcpy(&value, (const char *)stx + offset, sizeof(value));
	return value;
}

static bool is_unit(uint64_t unit)
{
	return unit && !(unit & (unit - 1));
}

/* false: it does not say.  *unit 0: there is no direct I/O. */
static bool ask_file_system(int fd, uint32_t *unit)
{
	struct statx stx;
	uint32_t memory, offset;

	if (statx(fd, "", AT_EMPTY_PATH, STATX_DIOALIGN, &stx) < 0 ||
	    !(stx.stx_mask & STATX_DIOALIGN))
		return false;
	memory = field(&stx, STATX_DIO_MEM_ALIGN);
	offset = field(&stx, STATX_DIO_OFFSET_ALIGN);
	if (!memory || !offset) {
		*unit = 0;
		return true;
	}
	*unit = max_u64(memory, offset);
	return is_unit(*unit);
}

static bool ask_device(int fd, uint32_t *unit)
{
	int size = 0;

	if (ioctl(fd, BLKSSZGET, &size) < 0 || size <= 0)
		return false;
	*unit = size;
	return is_unit(*unit);
}

/* The smallest unit in which bytes at an offset that is a multiple of a page
   can be read; 0: none. */
static uint32_t try_at(int fd, off_t offset)
{
	char *buffer = file_buffer(2 * PAGE);
	uint32_t found = 0;

	for (uint32_t unit = QCOW_SECTOR; buffer && !found && unit <= PAGE;
	     unit *= 2) {
		/* memory aligned to the unit and no better */
		if (pread(fd, buffer + (unit < PAGE ? unit : 0), unit,
			  offset + (unit < PAGE ? unit : 0)) > 0)
			found = unit;
	}
	free(buffer);
	return found;
}

/* false: there is nothing on the disk to try it with. */
static bool try_data(int fd, uint32_t *unit)
{
	off_t data = lseek(fd, 0, SEEK_DATA);
	off_t hole;

	if (data < 0)
		return false;
	data = round_up(data, PAGE);
	hole = lseek(fd, data, SEEK_HOLE);
	if (hole < data + (off_t)PAGE)
		return false;
	*unit = try_at(fd, data);
	return true;
}

/* Asks the disk below the file system; a tmpfs has none. */
static bool ask_disk_below(const struct file *file, dev_t device,
			   uint32_t *unit)
{
	static const char *const places[] = { "", "../" };
	char path[96], text[16];
	struct statfs fs;

	if (fstatfs(file->fd, &fs) < 0)
		return false;
	*unit = QCOW_SECTOR;
	if (fs.f_type == TMPFS_MAGIC)
		return true;
	for (unsigned int i = 0; i < ARRAY_SIZE(places); i++) {
		unsigned int size = 0;
		ssize_t n;
		int fd;

		snprintf(path, sizeof(path),
			 "/sys/dev/block/%u:%u/%squeue/logical_block_size",
			 major(device), minor(device), places[i]);
		fd = file->names->open(file->names->opaque, path,
				       O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			continue;
		n = read(fd, text, sizeof(text) - 1);
		close(fd);
		text[n > 0 ? n : 0] = '\0';
		if (sscanf(text, "%u", &size) != 1)
			size = 0;
		*unit = size;
		return is_unit(size);
	}
	return false;
}

uint32_t file_find_alignment(struct file *file)
{
	const int fd = file->fd;
	uint32_t unit;
	struct stat st;

	if (file_look(file, &st))
		return 0;
	if (S_ISBLK(st.st_mode) ?
		    !ask_device(fd, &unit) :
		    !ask_file_system(fd, &unit) && !try_data(fd, &unit) &&
			    !ask_disk_below(file, st.st_dev, &unit))
		unit = PAGE;
	return unit ? max_u64(unit, QCOW_SECTOR) : 0;
}
