// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A crew moves many pieces of a file: each once, to its place, whoever moves
 * it; several are on their way at a time; and an error of any is told.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "tests/lib/helpers.h"
#include "qcow/crew.h"

#define PIECES	 64u
#define SIZE	 4096u
#define ROUNDS	 200u
#define PATIENCE 60000u /* milliseconds */

static struct crew crew;
static struct file file = { .fd = -1 };
static uint8_t bytes[PIECES][SIZE];
static struct piece pieces[PIECES];
static atomic_uint moving, most, calls;
static bool gather;

ssize_t __real_pread(int fd, void *buffer, size_t length, off_t offset);
ssize_t __wrap_pread(int fd, void *buffer, size_t length, off_t offset);

/* With gather, a call waits for another one that begins meanwhile. */
ssize_t __wrap_pread(int fd, void *buffer, size_t length, off_t offset)
{
	unsigned int now = ++moving;

	calls++;
	if (now > most)
		most = now;
	for (unsigned int ms = 0; gather && most < 2 && ms < PATIENCE; ms++)
		usleep(1000);
	moving--;
	return __real_pread(fd, buffer, length, offset);
}

static void write_and_read(unsigned int round)
{
	unsigned int count = 1 + round % PIECES;

	for (unsigned int i = 0; i < count; i++) {
		memset(bytes[i], round + i, SIZE);
		pieces[i] = (struct piece){
			.bytes = bytes[i],
			.offset = 2ull * SIZE * ((i * 7) % PIECES),
			.length = SIZE,
		};
	}
	if (crew_write(&crew, &file, pieces, count))
		die("cannot write");
	memset(bytes, 0, sizeof(bytes));
	calls = 0;
	if (crew_read(&crew, &file, pieces, count))
		die("cannot read");
	if (calls != count)
		die("%u reads for %u pieces", calls, count);
	for (unsigned int i = 0; i < count; i++)
		for (unsigned int at = 0; at < SIZE; at++)
			if (bytes[i][at] != (uint8_t)(round + i))
				die("piece %u of %u is wrong", i, count);
}

static void test_error(void)
{
	int fd = file.fd;

	file.fd = -1;
	if (crew_read(&crew, &file, pieces, PIECES) != -EBADF ||
	    crew_write(&crew, &file, pieces, PIECES) != -EBADF ||
	    crew_read(&crew, &file, pieces, 1) != -EBADF)
		die("an error is not told");
	file.fd = fd;
}

static void test_neighbours(void)
{
	struct piece few[4];
	unsigned int n = 0;

	piece_add(few, &n, bytes[0], 8192, SIZE);
	piece_add(few, &n, bytes[1], 8192 + SIZE, SIZE);
	piece_add(few, &n, bytes[3], 8192 + 2 * SIZE, SIZE);
	piece_add(few, &n, bytes[4], 8192 + 4 * SIZE, SIZE);
	if (n != 3 || few[0].length != 2 * SIZE || few[1].bytes != bytes[3] ||
	    few[2].offset != 8192 + 4 * SIZE)
		die("neighbours are not one piece, or others are");
}

int main(void)
{
	char *path = scratch_path("file");

	file.fd = open(path, O_RDWR | O_CREAT, 0600);
	if (file.fd < 0)
		die("cannot make a file");
	free(path);
	for (unsigned int round = 0; round < 3; round++)
		write_and_read(round + 60);
	if (most != 1)
		die("somebody helps who is not there");
	crew_start(&crew);
	for (unsigned int round = 0; round < ROUNDS; round++)
		write_and_read(round);
	most = 0;
	gather = true;
	write_and_read(PIECES - 1);
	gather = false;
	if (most < 2)
		die("one piece is moved after the other");
	test_error();
	write_and_read(5);
	test_neighbours();
	crew_stop(&crew);
	return 0;
}
