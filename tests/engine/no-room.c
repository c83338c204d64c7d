// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Images that have no room for our mark: those of version 2, and overlays with
 * the smallest clusters.  Only the image's size and time of modification tell
 * that nobody wrote to it since its server died (R12).
 *
 * A life of one operation is killed.  The next process has no supervisor to
 * ask.  Whatever the operation was, this process takes the journal over and
 * finds every acknowledged change.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "tests/lib/model.h"
#include "tests/lib/operations.h"
#include "qcow/image.h"

#define CLUSTER 65536u /* at least one cluster of each image */
#define SIZE	(4u * CLUSTER)

static const char *const shapes[] = {
	"-o compat=0.10 %s 256K",
	"-o compat=0.10,cluster_size=512 %s 256K",
	"-o cluster_size=512 -b base -F raw %s",
};

static void make(const char *shape, const char *path)
{
	char command[160];

	snprintf(command, sizeof(command), shape, path);
	must_run(
		"cd %s; rm -f %s *.journal *.life; qemu-img create -q -f qcow2 %s",
		scratch(), path, command);
	must_run("qemu-io -f qcow2 -c 'write -q -P 0x77 0 %u' %s", SIZE, path);
}

static struct qcow_image *open_alone(const char *path, struct qcow_error *error)
{
	const struct qcow_options options = {
		.journal_dir = scratch(),
		.inline_checkpoint = true,
	};
	struct qcow_image *image;

	return qcow_open(path, &options, &image, error) ? NULL : image;
}

/* One operation, and then death. */
static void live(const char *path, const struct operation *operation)
{
	struct qcow_error error = { "" };
	pid_t child = fork();
	int status;

	if (!child) {
		struct qcow_image *image = open_alone(path, &error);

		if (!image)
			die("%s: %s", path, error.text);
		if (operation_do(operation, image, true, NULL))
			die("operation of kind %u fails", operation->kind);
		if (header_has_room(&image->header))
			die("%s: there is room for a mark", path);
		kill(getpid(), SIGKILL);
	}
	waitpid(child, &status, 0);
	if (!WIFSIGNALED(status))
		die("the life failed");
}

static void check(struct qcow_image *image, const struct operation *operation)
{
	uint8_t *bytes = aligned_alloc(4096, SIZE);
	uint8_t *wanted = malloc(SIZE);

	memset(wanted, 0x77, SIZE);
	operation_apply(operation, wanted, SIZE, qcow_cluster_size(image));
	if (qcow_read(image, bytes, 0, SIZE) || memcmp(bytes, wanted, SIZE))
		die("operation of kind %u is lost", operation->kind);
	free(bytes);
	free(wanted);
}

static void test(const char *shape, enum operation_kind kind)
{
	const struct operation operation = {
		.kind = kind,
		.offset = CLUSTER,
		.length = CLUSTER,
		.number = 1,
	};
	char *path = scratch_path("image");
	struct qcow_error error = { "" };
	struct qcow_image *image;

	make(shape, path);
	live(path, &operation);
	image = open_alone(path, &error);
	if (!image)
		die("%s: after an operation of kind %u: %s", shape, kind,
		    error.text);
	check(image, &operation);
	model_close(image);
	must_run("qemu-img check -q %s", path);
	free(path);
}

/* An overlay of version 2 cannot discard; none of these images is one. */
int main(void)
{
	unsigned int count = 0;

	must_run("head -c %u /dev/urandom >%s/base", SIZE, scratch());
	for (unsigned int s = 0; s < ARRAY_SIZE(shapes); s++)
		for (enum operation_kind k = OPERATION_WRITE;
		     k <= OPERATION_ZEROES_KEEP; k++, count++)
			test(shapes[s], k);
	printf("%u lives\n", count);
	return 0;
}
