// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Records: a text in two slots.  The writer of a change may die at any point of
 * the write: the old text is there, or the new one.  A text of another version
 * is told from a damaged one.  A text of the first version is read.  A text
 * that has grown by and by can still grow when the file system is full.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "tests/lib/helpers.h"
#include "plugin/common/record.h"
#include "plugin/common/state.h"

static char *path;
static bool full;	    /* the file system */
static bool keeps_old_text; /* the write that empties a slot fails */

int __real_posix_fallocate(int fd, off_t offset, off_t length);
int __wrap_posix_fallocate(int fd, off_t offset, off_t length);
int __wrap_posix_fallocate(int fd, off_t offset, off_t length)
{
	return full ? ENOSPC : __real_posix_fallocate(fd, offset, length);
}

ssize_t __real_pwrite(int fd, const void *bytes, size_t size, off_t at);
ssize_t __wrap_pwrite(int fd, const void *bytes, size_t size, off_t at);
ssize_t __wrap_pwrite(int fd, const void *bytes, size_t size, off_t at)
{
	if (keeps_old_text && *(const char *)bytes == '\n') {
		errno = ENOMEM;
		return -1;
	}
	return __real_pwrite(fd, bytes, size, at);
}

static void put(const char *text)
{
	if (record_write(path, text, strlen(text)))
		die("'%.20s' cannot be written", text);
}

static void expect(const char *text, const char *what)
{
	char *found;
	int ret = record_read(path, &found);

	if (ret || strcmp(found, text))
		die("%s: %d, '%.40s' where '%.40s' should be", what, ret,
		    ret ? "" : found, text);
	free(found);
}

static void expect_error(int error, const char *what)
{
	char *found;
	int ret = record_read(path, &found);

	if (ret != error)
		die("%s: %d and not %d", what, ret, error);
}

static ino_t inode(void)
{
	struct stat st;

	if (stat(path, &st))
		die("%s is gone", path);
	return st.st_ino;
}

/* The bytes of a change arrive in order, one after the other. */
static void test_deaths(void)
{
	char old_text[600], new_text[900];
	uint8_t *before, *after, *torn;
	size_t size, same;

	memset(old_text, 'o', sizeof(old_text) - 1);
	memset(new_text, 'n', sizeof(new_text) - 1);
	old_text[sizeof(old_text) - 1] = new_text[sizeof(new_text) - 1] = 0;
	remove(path);
	put(old_text);
	before = read_file(path, &size);
	put(new_text);
	after = read_file(path, &same);
	if (same != size)
		die("a change made the file larger");
	/* The new text came first, into the second half. */
	torn = malloc(size);
	for (size_t n = 0; n <= size; n++) {
		char *found;
		size_t second = n < size / 2 ? n : size / 2;

		memcpy(torn, before, size);
		memcpy(torn + size / 2, after + size / 2, second);
		memcpy(torn, after, n - second);
		write_file(path, torn, size);
		if (record_read(path, &found))
			die("after %zu bytes nothing can be read", n);
		if (strcmp(found, old_text) && strcmp(found, new_text))
			die("after %zu bytes there is neither text", n);
		free(found);
	}
	free(torn);
	free(after);
	free(before);
}

static void test_in_place(void)
{
	char text[RECORD_SPARE + 8];
	ino_t first;

	remove(path);
	put("id 1\n");
	first = inode();
	for (unsigned int i = 0; i < 100; i++) {
		snprintf(text, sizeof(text), "id %u\n", i);
		put(text);
		expect(text, "in place");
	}
	memset(text, 'x', RECORD_SPARE);
	text[RECORD_SPARE] = '\0';
	put(text);
	expect(text, "as long as may be");
	if (inode() != first)
		die("a change that has room made a new file");
}

/* Snapshots make a record longer, a little each.  Then the file system is full,
   and a server dies: its supervisor notes why. */
static void test_growth(void)
{
	char text[16384];

	for (size_t length = 1; length < 8192; length += 90) {
		full = false;
		remove(path);
		for (size_t now = 1; now <= length; now += 90) {
			memset(text, 's', now);
			text[now] = '\0';
			put(text);
		}
		full = true;
		memset(text, 'd', length + RECORD_ROOM);
		text[length + RECORD_ROOM] = '\0';
		put(text);
		expect(text, "longer, without room");
	}
	if (record_write(path, text, sizeof(text)) != -ENOSPC)
		die("a text that has no room is written");
	expect(text, "after a text that has no room");
	full = false;
}

/* A caller that hears of a failure goes on with the old text. */
static void test_both(void)
{
	remove(path);
	for (unsigned int i = 0; i < 4; i++) {
		char text[16];

		keeps_old_text = i;
		snprintf(text, sizeof(text), "id %u\n", i);
		put(text);
		expect(text, "beside the old text");
	}
	keeps_old_text = false;
}

static void test_longer(void)
{
	char *text = malloc(100001);

	memset(text, 'y', 100000);
	text[100000] = '\0';
	put(text);
	expect(text, "a text that needs a new file");
	put("id 3\n");
	expect("id 3\n", "a short one again");
	free(text);
}

static void test_others(void)
{
	static const char first[] = "id 5\nstate live\n";
	char later[8192];

	write_file(path, first, strlen(first));
	expect(first, "of the first version");
	put("id 6\n");
	expect("id 6\n", "after the first version");

	memset(later, '\n', sizeof(later));
	memcpy(later, "ublk-qcow2 3 ", 13);
	write_file(path, later, sizeof(later));
	expect_error(-EPROTO, "a later version");
	if (record_write(path, "id 7\n", 5) != -EPROTO)
		die("a later version's record is overwritten");

	write_file(path, "garbage", 7);
	expect_error(-EBADMSG, "garbage");
	remove(path);
	expect_error(-ENOENT, "nothing");
}

static void expect_free(int from, int free_one, const char *what)
{
	int id;

	if (disk_free_id(from, &id) || id != free_one)
		die("%s: the id %d is free, and not %d", what, id, free_one);
}

/* A directory that outlives a boot, as a container's may, keeps no id for the
   disks from before. */
static void test_boots(void)
{
	struct disk disk = { .id = DISK_ID_MAX - 1 };

	expect_free(disk.id, disk.id, "no record");
	if (disk_stamp(&disk) || disk_save(&disk, NULL))
		die("no record can be written");
	expect_free(disk.id, disk.id + 1, "a disk");
	snprintf(disk.boot, sizeof(disk.boot), "another");
	if (disk_save(&disk, NULL))
		die("no record can be written");
	expect_free(disk.id, disk.id, "a disk of another boot");
	must_run("echo damaged >%s/%d.disk", scratch(), disk.id);
	expect_free(disk.id, disk.id + 1, "a damaged record");
	disk_forget(disk.id);
}

int main(void)
{
	setenv("UBLK_QCOW2_RUN", scratch(), 1);
	path = scratch_path("7.disk");
	test_boots();
	test_in_place();
	test_growth();
	test_both();
	test_longer();
	test_deaths();
	test_others();
	free(path);
	return 0;
}
