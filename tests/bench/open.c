// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The time and the memory that an open of a disk of 1 TiB takes.
 *
 * The images have only holes, or have tables that name every cluster.  Each is
 * opened as a server opens an image: for writing, with the checkpoint thread,
 * and past the page cache if the file system can do it.  Each open has a new
 * process, which tells the time of the open, and how far its resident memory
 * had risen at most.  Before a cold open the image's pages are dropped; with
 * root's rights, all caches of the machine.  A warm open follows another open.
 * The median of several opens is shown.
 *
 * usage: bench-open [DIRECTORY]
 *
 * Images, of 500 MiB at most, are made in the directory.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "tests/lib/helpers.h"
#include "qcow/image.h"

#define ROUNDS 9

static const struct {
	const char *what;
	const char *options; /* of qemu-img create */
} images[] = {
	{ "holes, 64K clusters", "cluster_size=64k" },
	{ "holes, 4K clusters", "cluster_size=4k" },
	{ "mapped, 64K clusters", "cluster_size=64k,preallocation=metadata" },
	{ "mapped, 2M clusters", "cluster_size=2M,preallocation=metadata" },
	{ "mapped, subclusters",
	  "extended_l2=on,cluster_size=64k,preallocation=metadata" },
};

/* The cost of one open. */
struct sample {
	double ms;
	unsigned long before, peak; /* resident, KiB */
};

/* ---- the process that opens ---- */

static unsigned long resident_peak(void)
{
	FILE *file = fopen("/proc/self/status", "r");
	unsigned long kib = 0;
	char line[128];

	while (file && fgets(line, sizeof(line), file))
		if (sscanf(line, "VmHWM: %lu", &kib) == 1)
			break;
	if (file)
		fclose(file);
	return kib;
}

static double now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1e3 + now.tv_nsec / 1e6;
}

static int open_once(const char *image_path, const char *journals)
{
	const struct qcow_options options = { .journal_dir = journals };
	struct qcow_error error = { "" };
	struct qcow_image *image;
	struct sample sample = { .before = resident_peak() };
	double start = now_ms();

	if (qcow_open(image_path, &options, &image, &error))
		die("%s: %s", image_path, error.text);
	sample.ms = now_ms() - start;
	sample.peak = resident_peak();
	printf("%f %lu %lu\n", sample.ms, sample.before, sample.peak);
	return qcow_close(image) ? 1 : 0;
}

/* ---- the process that starts it ---- */

static char path[512]; /* of the image */

static void remove_image(void)
{
	unlink(path);
}

static void measure(struct sample *sample)
{
	char *command;
	FILE *pipe;

	if (asprintf(&command, "/proc/%d/exe --open %s %s", getpid(), path,
		     scratch()) < 0)
		abort();
	pipe = popen(command, "r");
	if (!pipe ||
	    fscanf(pipe, "%lf %lu %lu", &sample->ms, &sample->before,
		   &sample->peak) != 3 ||
	    pclose(pipe))
		die("%s: no answer from the process that opens it", path);
	free(command);
}

static void drop_caches(void)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || fsync(fd) || posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED))
		die("%s: %s", path, strerror(errno));
	close(fd);
	fd = open("/proc/sys/vm/drop_caches", O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	/* On some machines not even root may do that. */
	if (write(fd, "3", 1) < 0)
		errno = 0;
	close(fd);
}

static int compare(const void *a, const void *b)
{
	double x = ((const struct sample *)a)->ms;
	double y = ((const struct sample *)b)->ms;

	return x < y ? -1 : x > y;
}

static struct sample median(bool cold)
{
	struct sample samples[ROUNDS];

	for (unsigned int n = 0; n < ROUNDS; n++) {
		if (cold)
			drop_caches();
		measure(&samples[n]);
	}
	qsort(samples, ROUNDS, sizeof(samples[0]), compare);
	return samples[ROUNDS / 2];
}

static void bench(unsigned int n)
{
	struct sample cold, warm;

	must_run("qemu-img create -q -f qcow2 -o %s %s 1T", images[n].options,
		 path);
	cold = median(true);
	warm = median(false);
	remove_image();
	printf("%-24s %9.2f %9.2f %12lu %12lu\n", images[n].what, cold.ms,
	       warm.ms, warm.peak, warm.peak - warm.before);
	fflush(stdout);
}

int main(int argc, char **argv)
{
	if (argc == 4 && !strcmp(argv[1], "--open"))
		return open_once(argv[2], argv[3]);
	if (argc > 2) {
		fprintf(stderr, "usage: bench-open [DIRECTORY]\n");
		return 2;
	}
	snprintf(path, sizeof(path), "%s/bench-open-%d.qcow2",
		 argc > 1 ? argv[1] : ".", getpid());
	atexit(remove_image);
	printf("%-24s %9s %9s %12s %12s\n", "a disk of 1 TiB", "cold, ms",
	       "warm, ms", "peak RSS KiB", "by the open");
	for (unsigned int n = 0; n < ARRAY_SIZE(images); n++)
		bench(n);
	return 0;
}
