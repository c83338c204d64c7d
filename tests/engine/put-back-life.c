// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A life of an image, which a kill ends.  It leaves unflushed writes in the
 * journal, and a write in flight if the test wants one.  The next open must
 * replay the journal or refuse the image.  A refused image can be forced open,
 * and is sound then.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include "tests/engine/put-back.h"
#include "tests/lib/model.h"
#include "qcow/image.h"

#define NS 1000000000ull

const char *const shapes[NR_SHAPES] = {
	[VERSION_2] = "-o compat=0.10 image 1M",
	[VERSION_3] = "image 1M",
	[OVERLAY] = "-b base -F raw image",
	[NO_ROOM] = "-o cluster_size=512 -b base -F raw image",
	[DATA_FILE] = "-o data_file=data,data_file_raw=on image 1M",
};

void in_scratch(const char *command)
{
	must_run("cd %s; %s", scratch(), command);
}

void make(enum shape shape)
{
	must_run(
		"cd %s; rm -f image copy late data times *.journal *.life; qemu-img create -q -f qcow2 %s",
		scratch(), shapes[shape]);
	in_scratch("qemu-io -f qcow2 -c 'write -q -P 0x77 0 256k' image");
}

struct qcow_options plain_options(void)
{
	/* The file's end moves ahead of its clusters. */
	static const struct qcow_test_hooks hooks = { .ahead = 1 };

	return (struct qcow_options){
		.journal_dir = scratch(),
		.test = &hooks,
		.references = &model_references,
		.inline_checkpoint = true,
	};
}

struct qcow_image *try_open(const struct qcow_options *options,
			    struct qcow_error *error)
{
	char *path = scratch_path("image");
	struct qcow_image *image = NULL;

	error->text[0] = '\0';
	if (qcow_open(path, options, &image, error))
		image = NULL;
	free(path);
	return image;
}

void write_piece(struct qcow_image *image, uint64_t offset, int byte)
{
	static uint8_t bytes[PIECE] __attribute__((aligned(4096)));

	memset(bytes, byte, sizeof(bytes));
	if (qcow_write(image, bytes, offset, sizeof(bytes)))
		die("a write failed");
}

/* The life whose death is tested.  It copies the image in the middle. */
static void live(enum ending ending)
{
	const struct qcow_options options = plain_options();
	struct qcow_error error;
	struct qcow_image *image = try_open(&options, &error);
	struct qcow_io io;

	if (!image)
		die("the first open: %s", error.text);
	if (ending == UNWRITTEN)
		return;
	write_piece(image, 0, 1);
	if (qcow_flush(image))
		die("a flush failed");
	in_scratch("cp -p image copy");
	/* The file system's clock must tick between the copy and the next
	   writes. */
	usleep(20000);
	if (qcow_discard(image, 0, PIECE) || qcow_flush(image))
		die("a discard failed");
	in_scratch("cp -p image late");
	usleep(20000);
	write_piece(image, 2 * PIECE, 2);
	write_piece(image, 6 * PIECE, 3);
	if (ending == IN_FLIGHT && qcow_map_write(image, &io, 2 * PIECE, PIECE))
		die("a write cannot be mapped");
}

void live_again(enum ending ending)
{
	pid_t child = fork();
	int status;

	if (!child) {
		live(ending);
		kill(getpid(), SIGKILL);
	}
	waitpid(child, &status, 0);
	if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL)
		die("the life failed");
}

void live_and_die(enum shape shape, enum ending ending)
{
	make(shape);
	live_again(ending);
}

void expect_byte(struct qcow_image *image, uint64_t offset, int byte)
{
	uint8_t bytes[QCOW_SECTOR] __attribute__((aligned(4096)));

	if (qcow_read(image, bytes, offset, sizeof(bytes)) || *bytes != byte)
		die("at %llu: %#x where %#x was written",
		    (unsigned long long)offset, *bytes, byte);
}

void expect_nothing_left(void)
{
	in_scratch("! ls | grep -e '[.]journal$' -e '[.]life$'");
}

/* A life that has ended leaves no extension. */
static void expect_no_mark(const char *what)
{
	char *path = scratch_path("image");
	size_t size;
	uint8_t *bytes = read_file(path, &size);

	for (unsigned int at = 0; at < 4096; at += 8)
		if (load_be32(bytes + at) == EXTENSION_LIFE)
			die("%s: the mark stays", what);
	free(bytes);
	free(path);
}

void expect_replayed(const char *what)
{
	const struct qcow_options options = plain_options();

	expect_replayed_by(&options, what);
}

void expect_replayed_by(const struct qcow_options *options, const char *what)
{
	struct qcow_error error;
	struct qcow_image *image = try_open(options, &error);

	if (!image)
		die("%s: refused: %s", what, error.text);
	expect_byte(image, 2 * PIECE, 2);
	expect_byte(image, 6 * PIECE, 3);
	model_close(image);
	expect_no_mark(what);
	expect_nothing_left();
	in_scratch("qemu-img check -q image");
}

void expect_refused(const char *what, const char *word)
{
	struct qcow_options options = plain_options();
	struct qcow_error error;
	struct qcow_image *image = try_open(&options, &error);

	if (image)
		die("%s: nobody noticed", what);
	if (!strstr(error.text, "--force") || !strstr(error.text, word))
		die("%s: refused with '%s', without '%s'", what, error.text,
		    word);
	options.force = true;
	image = try_open(&options, &error);
	if (!image)
		die("%s: cannot be forced: %s", what, error.text);
	model_close(image);
	in_scratch("qemu-img check -q image");
	/* One open by force is enough. */
	options.force = false;
	image = try_open(&options, &error);
	if (!image)
		die("%s: after it was forced: %s", what, error.text);
	model_close(image);
}

void set_clock_back(void)
{
	char *path = scratch_find("*.journal");
	struct journal_header *journal;
	int fd = open(path, O_RDWR);

	journal = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (journal == MAP_FAILED)
		die("the journal cannot be mapped");
	/* The old owner's clock was an hour ahead. */
	journal->lease.offset += 3600 * NS;
	munmap(journal, 4096);
	close(fd);
	free(path);
}

bool has_mark(enum shape shape)
{
	return shape == VERSION_3 || shape == OVERLAY || shape == DATA_FILE;
}
