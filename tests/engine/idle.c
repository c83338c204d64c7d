// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * An image that nobody uses sleeps: none of its threads runs while it is clean.
 * But written bytes are on their way to the file without a flush, a second or
 * two later, also after such a sleep.
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "tests/lib/helpers.h"
#include "qcow/qcow.h"

#define PATIENCE      60 /* seconds */
#define CLUSTER	      65536u
#define SMALL_JOURNAL (8u << 10) /* of 512 words */
#define HALF	      55u	 /* clusters whose groups fill a half of that */
#define FULL	      95u

/* How often any thread of ours has gone to sleep. */
static unsigned long sleeps(void)
{
	DIR *dir = opendir("/proc/self/task");
	unsigned long sum = 0, count;
	struct dirent *entry;
	char path[300], line[128];
	FILE *file;

	if (!dir)
		die("cannot list our threads");
	while ((entry = readdir(dir))) {
		/* The calling thread sleeps in this test itself. */
		if (entry->d_name[0] == '.' || atoi(entry->d_name) == getpid())
			continue;
		snprintf(path, sizeof(path), "/proc/self/task/%s/status",
			 entry->d_name);
		file = fopen(path, "r");
		while (file && fgets(line, sizeof(line), file))
			if (sscanf(line, "voluntary_ctxt_switches: %lu",
				   &count) == 1)
				sum += count;
		if (file)
			fclose(file);
	}
	closedir(dir);
	return sum;
}

static void await_sleep(void)
{
	unsigned long before = sleeps();

	for (unsigned int n = 0; n < PATIENCE; n++) {
		unsigned long now;

		sleep(3);
		now = sleeps();
		if (now == before)
			return;
		before = now;
	}
	die("its threads never sleep");
}

static uint64_t checkpoints(struct qcow_image *image)
{
	struct qcow_stats stats;

	qcow_get_stats(image, &stats);
	return stats.checkpoints;
}

static void write_and_await_checkpoint(struct qcow_image *image,
				       uint64_t offset)
{
	static const char data[4096] = "written";
	uint64_t before = checkpoints(image);

	if (qcow_write(image, data, offset, sizeof(data)))
		die("cannot write");
	for (unsigned int n = 0; checkpoints(image) == before; n++) {
		if (n == PATIENCE)
			die("a dirty image sleeps");
		sleep(1);
	}
}

static struct qcow_image *open_image(uint64_t journal_size)
{
	const struct qcow_options options = {
		.journal_dir = scratch(),
		.journal_size = journal_size,
	};
	char *path = scratch_path("disk.qcow2");
	struct qcow_error error = { "" };
	struct qcow_image *image;

	must_run("qemu-img create -q -f qcow2 %s 64M", path);
	if (qcow_open(path, &options, &image, &error))
		die("%s", error.text);
	free(path);
	return image;
}

/* Each takes five words of the journal. */
static void write_cluster(struct qcow_image *image, unsigned int cluster)
{
	static const char data[4096] = "written";

	if (qcow_write(image, data, cluster * CLUSTER, sizeof(data)))
		die("cannot write");
}

/* A disk that is never idle is written in time, while there is room for more
   writes, which would have to wait else (R16). */
static void test_half_full(void)
{
	struct qcow_image *image = open_image(SMALL_JOURNAL);
	unsigned int cluster = 0;

	while (cluster < HALF)
		write_cluster(image, cluster++);
	while (!checkpoints(image)) {
		if (cluster == FULL)
			die("nothing is written until the journal is full");
		usleep(100000);
		write_cluster(image, cluster++);
	}
	if (qcow_close(image))
		die("cannot close");
}

int main(void)
{
	struct qcow_image *image;

	test_half_full();
	image = open_image(0);
	await_sleep();
	write_and_await_checkpoint(image, 0);
	await_sleep();
	write_and_await_checkpoint(image, 1 << 20);
	return qcow_close(image) ? 1 : 0;
}
