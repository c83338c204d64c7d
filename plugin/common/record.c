// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A record: a text in a file on a tmpfs that may be full when the text has
 * to change.
 *
 * The file has two slots of one size, whose room is allocated when the file is
 * made.  A new text goes into the slot that does not hold the latest one:
 *
 *	slot	head, text, empty lines
 *	head	ublk-qcow2 VERSION LENGTH NUMBER CHECKSUM \n
 *
 * The checksum covers number and text.  The slot with the higher number whose
 * checksum fits holds the text, so a writer's death yields the old text.  When
 * the new one is whole the other slot is emptied, so that people and scripts
 * see one text.  A reader that meets both changes looks again.
 *
 * A text that fills its slot, or nearly so, gets a new file with larger slots,
 * which then replaces the old one by renaming; the new one's name ends in the
 * writer's pid.  So the next text has room, however the text has grown.
 *
 * A file of version 1 has no head and one text, and can still be read.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "plugin/common/record.h"

#define VERSION	  2
#define HEAD_SIZE 64
#define PAGE	  4096u
#define LOOKS	  100
#define FILE_MAX  (16u << 20) /* of a file that is ours */

struct slot {
	unsigned int version;
	size_t length;
	unsigned long long number;
	const char *text;
};

/* FNV-1a.  The checksum tells a torn text from a whole one; no process forges
   a text here. */
static uint32_t checksum(unsigned long long number, const char *text,
			 size_t length)
{
	uint32_t sum = 2166136261u;

	for (; number; number >>= 8)
		sum = (sum ^ (number & 0xff)) * 16777619u;
	while (length--)
		sum = (sum ^ (unsigned char)*text++) * 16777619u;
	return sum;
}

/* 0, -EPROTO or -EBADMSG. */
static int parse_slot(const char *bytes, size_t size, struct slot *slot)
{
	char head[HEAD_SIZE + 1] = "";
	unsigned int sum;
	int at = 0;

	memcpy(head, bytes, size < HEAD_SIZE ? size : HEAD_SIZE);
	if (sscanf(head, "ublk-qcow2 %u", &slot->version) != 1)
		return -EBADMSG;
	if (slot->version != VERSION)
		return -EPROTO;
	if (sscanf(head, "ublk-qcow2 %*u %zu %llu %x%n", &slot->length,
		   &slot->number, &sum, &at) != 3 ||
	    !at || slot->length > size - HEAD_SIZE)
		return -EBADMSG;
	slot->text = bytes + HEAD_SIZE;
	return checksum(slot->number, slot->text, slot->length) == sum ?
		       0 :
		       -EBADMSG;
}

/* The slot with the latest text, and which of the two that is. */
static int latest(const char *bytes, size_t size, struct slot *slot,
		  unsigned int *which)
{
	struct slot slots[2];
	int first, second;

	if (size < 2 * HEAD_SIZE)
		return -EBADMSG;
	first = parse_slot(bytes, size / 2, &slots[0]);
	second = parse_slot(bytes + size / 2, size / 2, &slots[1]);
	if (first && second)
		return first == -EPROTO || second == -EPROTO ? -EPROTO :
							       -EBADMSG;
	*which = first || (!second && slots[1].number > slots[0].number);
	*slot = slots[*which];
	return 0;
}

/* All of a file, and a 0 behind it. */
static int read_all(int fd, char **bytes, size_t *size)
{
	struct stat st;
	ssize_t got;

	if (fstat(fd, &st))
		return -errno;
	if (st.st_size > FILE_MAX)
		return -EBADMSG;
	*bytes = malloc(st.st_size + 1);
	if (!*bytes)
		return -ENOMEM;
	got = pread(fd, *bytes, st.st_size, 0);
	if (got < 0) {
		int ret = -errno;

		free(*bytes);
		return ret;
	}
	(*bytes)[got] = '\0';
	*size = got;
	return 0;
}

static int read_path(const char *path, int flags, int *fd, char **bytes,
		     size_t *size)
{
	int ret;

	*fd = open(path, flags | O_CLOEXEC);
	if (*fd < 0)
		return -errno;
	ret = read_all(*fd, bytes, size);
	if (ret)
		close(*fd);
	return ret;
}

static int read_once(const char *path, char **text)
{
	struct slot slot;
	unsigned int which;
	char *bytes;
	size_t size;
	int fd, ret;

	ret = read_path(path, O_RDONLY, &fd, &bytes, &size);
	if (ret)
		return ret;
	close(fd);
	/* Version 1. */
	if (!strncmp(bytes, "id ", strlen("id "))) {
		*text = bytes;
		return 0;
	}
	ret = latest(bytes, size, &slot, &which);
	if (!ret) {
		*text = strndup(slot.text, slot.length);
		ret = *text ? 0 : -ENOMEM;
	}
	free(bytes);
	return ret;
}

int record_read(const char *path, char **text)
{
	unsigned int left = LOOKS;
	int ret;

	do
		ret = read_once(path, text);
	while (ret == -EBADMSG && --left);
	return ret;
}

static int write_all(int fd, const char *bytes, size_t size, off_t at)
{
	ssize_t done = pwrite(fd, bytes, size, at);

	return done == (ssize_t)size ? 0 : done < 0 ? -errno : -EIO;
}

static int write_slot(int fd, size_t size, unsigned int which,
		      unsigned long long number, const char *text,
		      size_t length)
{
	char *bytes = malloc(size);
	int ret, used;

	if (!bytes)
		return -ENOMEM;
	memset(bytes, '\n', size);
	used = snprintf(bytes, HEAD_SIZE, "ublk-qcow2 %u %zu %llu %x", VERSION,
			length, number, checksum(number, text, length));
	memset(bytes + used, ' ', HEAD_SIZE - 1 - used);
	memcpy(bytes + HEAD_SIZE, text, length);
	ret = write_all(fd, bytes, size, which * size);
	/* The text is whole; the old one may go.  If it stays, the number tells
	   which of the two counts: our caller hears of no failure. */
	memset(bytes, '\n', size);
	if (!ret && write_all(fd, bytes, size, !which * size))
		errno = 0;
	free(bytes);
	return ret;
}

/* -ENOSPC: the file is too small for the text and so many bytes more; -EBADMSG:
   the file has no slots. */
static int write_in_place(const char *path, const char *text, size_t length,
			  size_t more)
{
	struct slot slot;
	unsigned int which;
	char *bytes;
	size_t size;
	int fd, ret;

	ret = read_path(path, O_RDWR, &fd, &bytes, &size);
	if (ret)
		return ret;
	ret = latest(bytes, size, &slot, &which);
	if (!ret && length + more > size / 2 - HEAD_SIZE)
		ret = -ENOSPC;
	if (!ret)
		ret = write_slot(fd, size / 2, !which, slot.number + 1, text,
				 length);
	free(bytes);
	close(fd);
	return ret;
}

static int fill_new(int fd, const char *text, size_t length)
{
	size_t size = (HEAD_SIZE + length + RECORD_SPARE + PAGE - 1) / PAGE *
		      PAGE;
	int ret = -posix_fallocate(fd, 0, 2 * size);

	return ret ? ret : write_slot(fd, size, 0, 1, text, length);
}

static int make_new(const char *path, const char *text, size_t length)
{
	char new[PATH_MAX + 16];
	int fd, ret;

	snprintf(new, sizeof(new), "%s.%d", path, (int)getpid());
	fd = open(new, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (fd < 0)
		return -errno;
	ret = fill_new(fd, text, length);
	close(fd);
	if (!ret && rename(new, path))
		ret = -errno;
	if (ret)
		unlink(new);
	return ret;
}

int record_write(const char *path, const char *text, size_t length)
{
	int ret = write_in_place(path, text, length, RECORD_ROOM);
	int made;

	/* A file of a later version is not ours to replace. */
	if (ret != -ENOENT && ret != -ENOSPC && ret != -EBADMSG)
		return ret;
	made = make_new(path, text, length);
	if (!made || ret != -ENOSPC)
		return made;
	/* No file with more room can be had: the text may fit all the same. */
	ret = write_in_place(path, text, length, 0);
	return ret == -ENOSPC ? made : ret;
}
