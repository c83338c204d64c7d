// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Loads a disk as cheaply as possible, and prints the cost.
 *
 * The client shares its processor with the server that is measured, so it does
 * next to nothing itself: one ring, one buffer for each request, and places
 * that come from a multiplication.  They are a permutation of all places: no
 * two requests of a run meet, whatever its length.  So a run on an empty image
 * allocates with each write.
 *
 * With --jobs N, that many processes share the requests, each with a ring of
 * its own; a depth is each one's.
 *
 * Discards and zeroes go through ioctl(2), one at a time.  With --flush N all
 * requests end after each N writes, and then the disk is flushed.  "commit"
 * does as the clients of a database: of --depth writers each writes, flushes,
 * and then writes again.
 *
 * The cost of a server (--watch PID, once for each of its processes) is the run
 * time that the scheduler has counted for its threads: nanoseconds, and
 * instructions in a machine whose clock counts these.  Its system calls are
 * counted in a run of their own, because counting makes them dearer.
 *
 * Prints on one line: I/Os a second; nanoseconds of the server for each; its
 * system calls for each, or "-".
 *
 * usage: bench/io read|write|mixed|commit|zero|discard [OPTION VALUE]... DISK
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <linux/fs.h>
#include <linux/perf_event.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define PIDS_MAX    4
#define THREADS_MAX 64
#define DEPTH_MAX   256
#define STRIDE	    2654435761ull /* odd, so it visits every place */
#define READS_OF_10 7		  /* of mixed */

static struct {
	const char *operation;
	unsigned long depth, block, step, count, flush, sequential, jobs;
	unsigned long long span; /* bytes; span / step is a power of 2 */
	int pids[PIDS_MAX];
	unsigned int nr_pids;
} options = {
	.depth = 32,
	.block = 4096,
	.step = 4096,
	.count = 8192,
	.jobs = 1,
	.span = 256ull << 20,
};

static struct io_uring ring;
static char *buffers;
static unsigned long long next; /* the number of requests so far */

static void __attribute__((format(printf, 1, 2), noreturn))
die(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	fprintf(stderr, "bench/io: ");
	vfprintf(stderr, format, arguments);
	fprintf(stderr, "\n");
	exit(1);
}

/* ---- the server ---- */

/* The run time of all threads of the watched processes, in nanoseconds. */
static unsigned long long server_time(void)
{
	unsigned long long sum = 0, ns;
	unsigned int n;
	char path[300];
	struct dirent *entry;
	DIR *dir;
	FILE *file;

	for (n = 0; n < options.nr_pids; n++) {
		snprintf(path, sizeof(path), "/proc/%d/task", options.pids[n]);
		dir = opendir(path);
		while (dir && (entry = readdir(dir))) {
			snprintf(path, sizeof(path),
				 "/proc/%d/task/%s/schedstat", options.pids[n],
				 entry->d_name);
			file = fopen(path, "r");
			if (file && fscanf(file, "%llu", &ns) == 1)
				sum += ns;
			if (file)
				fclose(file);
		}
		if (dir)
			closedir(dir);
	}
	return sum;
}

static int counters[THREADS_MAX];
static unsigned int nr_counters;

static void count_thread(int tid, unsigned long long event)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_TRACEPOINT,
		.size = sizeof(attr),
		.config = event,
	};
	int fd = syscall(SYS_perf_event_open, &attr, tid, -1, -1,
			 PERF_FLAG_FD_CLOEXEC);

	if (fd >= 0 && nr_counters < THREADS_MAX)
		counters[nr_counters++] = fd;
}

static void count_system_calls(void)
{
	FILE *file = fopen("/sys/kernel/debug/tracing/events/raw_syscalls/"
			   "sys_enter/id",
			   "r");
	unsigned long long event;
	struct dirent *entry;
	unsigned int n;
	char path[64];
	DIR *dir;

	if (!file)
		return;
	if (fscanf(file, "%llu", &event) != 1)
		die("cannot read the number of the tracepoint");
	fclose(file);
	for (n = 0; n < options.nr_pids; n++) {
		snprintf(path, sizeof(path), "/proc/%d/task", options.pids[n]);
		dir = opendir(path);
		while (dir && (entry = readdir(dir)))
			if (entry->d_name[0] != '.')
				count_thread(atoi(entry->d_name), event);
		if (dir)
			closedir(dir);
	}
}

static unsigned long long system_calls(void)
{
	unsigned long long sum = 0, count;
	unsigned int n;

	for (n = 0; n < nr_counters; n++)
		if (read(counters[n], &count, sizeof(count)) == sizeof(count))
			sum += count;
	return sum;
}

/* ---- the load ---- */

static unsigned long long next_place(void)
{
	unsigned long long places = options.span / options.step;
	unsigned long long nr = next++;

	return (options.sequential ? nr : nr * STRIDE) % places * options.step;
}

static bool is_read(void)
{
	if (options.operation[0] == 'm')
		return next % 10 < READS_OF_10;
	return options.operation[0] == 'r';
}

static bool is_commit(void)
{
	return options.operation[0] == 'c';
}

/* It begins when the write has ended, which is not told. */
static void submit_flush(struct io_uring_sqe *write, unsigned long slot)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);

	write->flags |= IOSQE_IO_LINK | IOSQE_CQE_SKIP_SUCCESS;
	io_uring_prep_fsync(sqe, 0, IORING_FSYNC_DATASYNC);
	sqe->flags = IOSQE_FIXED_FILE;
	sqe->user_data = slot;
}

static void submit_one(unsigned long slot)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);
	char *buffer = buffers + slot * options.block;

	if (is_read())
		io_uring_prep_read(sqe, 0, buffer, options.block, next_place());
	else
		io_uring_prep_write(sqe, 0, buffer, options.block,
				    next_place());
	sqe->flags = IOSQE_FIXED_FILE;
	sqe->user_data = slot;
	if (is_commit())
		submit_flush(sqe, slot);
}

/* Makes `count` transfers, at most `depth` at once. */
static void transfers(unsigned long count)
{
	const int success = is_commit() ? 0 : (int)options.block;
	unsigned long started, ended = 0;
	struct io_uring_cqe *cqe;
	unsigned int head, seen;

	for (started = 0; started < options.depth && started < count; started++)
		submit_one(started);
	while (ended < count) {
		if (io_uring_submit_and_wait(&ring, 1) < 0)
			die("the ring: %s", strerror(errno));
		seen = 0;
		io_uring_for_each_cqe(&ring, head, cqe)
		{
			seen++;
			if (cqe->res != success)
				die("%s: a transfer returned %d",
				    options.operation, cqe->res);
			if (started < count) {
				submit_one(cqe->user_data);
				started++;
			}
		}
		io_uring_cq_advance(&ring, seen);
		ended += seen;
	}
}

static void ioctls(int fd, unsigned long count)
{
	unsigned long request = options.operation[0] == 'z' ? BLKZEROOUT :
							      BLKDISCARD;
	uint64_t range[2] = { 0, options.block };

	while (count--) {
		range[0] = next_place();
		if (ioctl(fd, request, range) < 0)
			die("%s: %s", options.operation, strerror(errno));
	}
}

static void run(int fd, unsigned long count)
{
	unsigned long part;

	if (options.operation[0] == 'z' || options.operation[0] == 'd') {
		ioctls(fd, count);
		return;
	}
	for (; count; count -= part) {
		part = options.flush && options.flush < count ? options.flush :
								count;
		transfers(part);
		if (options.flush && fdatasync(fd) < 0)
			die("flush: %s", strerror(errno));
	}
}

/* ---- the jobs ---- */

static pthread_barrier_t *barrier;
static unsigned int job; /* this process; 0: the first */

static void begin_jobs(void)
{
	pthread_barrierattr_t attributes;

	barrier = mmap(NULL, sizeof(*barrier), PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (barrier == MAP_FAILED)
		die("no memory");
	pthread_barrierattr_init(&attributes);
	pthread_barrierattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
	pthread_barrier_init(barrier, &attributes, options.jobs);
	options.count /= options.jobs;
	for (unsigned int n = 1; n < options.jobs && !job; n++) {
		pid_t child = fork();

		if (child < 0)
			die("cannot fork: %s", strerror(errno));
		if (!child)
			job = n;
	}
	/* Each has places of its own. */
	next = job * 2ull * options.count;
}

static void meet_jobs(void)
{
	pthread_barrier_wait(barrier);
}

static double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec + time.tv_nsec / 1e9;
}

static void measure(int fd)
{
	unsigned long long server, calls;
	unsigned long few = options.count / 8;
	double start, all = (double)options.count * options.jobs;

	run(fd, options.count / 16); /* warms up */
	meet_jobs();
	server = server_time();
	start = now();
	run(fd, options.count);
	meet_jobs();
	if (job)
		return;
	printf("%.0f", all / (now() - start));
	if (!options.nr_pids) {
		printf(" - -\n");
		return;
	}
	printf(" %.0f", (server_time() - server) / all);
	count_system_calls();
	calls = system_calls();
	run(fd, few);
	if (nr_counters)
		printf(" %.2f\n", (system_calls() - calls) / (double)few);
	else
		printf(" -\n");
}

/* ---- the command line ---- */

static unsigned long long number(const char *text)
{
	unsigned long long value;
	char *end;

	value = strtoull(text, &end, 0);
	if (*end == 'k' && !end[1])
		return value << 10;
	if (*end == 'M' && !end[1])
		return value << 20;
	if (*end == 'G' && !end[1])
		return value << 30;
	if (*end || end == text)
		die("'%s' is no number", text);
	return value;
}

static void set_option(const char *name, const char *value)
{
	if (!strcmp(name, "--depth"))
		options.depth = number(value);
	else if (!strcmp(name, "--block"))
		options.block = number(value);
	else if (!strcmp(name, "--step"))
		options.step = number(value);
	else if (!strcmp(name, "--count"))
		options.count = number(value);
	else if (!strcmp(name, "--span"))
		options.span = number(value);
	else if (!strcmp(name, "--flush"))
		options.flush = number(value);
	else if (!strcmp(name, "--jobs"))
		options.jobs = number(value);
	else if (!strcmp(name, "--sequential"))
		options.sequential = number(value);
	else if (!strcmp(name, "--watch") && options.nr_pids < PIDS_MAX)
		options.pids[options.nr_pids++] = number(value);
	else
		die("unknown option %s", name);
}

int main(int argc, char **argv)
{
	int fd, n;

	if (argc < 3 || argc % 2 == 0)
		die("usage: bench/io OPERATION [OPTION VALUE]... DISK");
	options.operation = argv[1];
	for (n = 2; n + 1 < argc; n += 2)
		set_option(argv[n], argv[n + 1]);
	if (!options.depth || options.depth > DEPTH_MAX || !options.block ||
	    options.step < options.block || options.span < options.step ||
	    !options.jobs)
		die("depth, block, step, span or jobs makes no sense");
	begin_jobs();
	fd = open(argv[argc - 1], O_RDWR | O_DIRECT | O_CLOEXEC);
	if (fd < 0)
		die("%s: %s", argv[argc - 1], strerror(errno));
	if (posix_memalign((void **)&buffers, 4096,
			   options.depth * options.block))
		die("no memory");
	memset(buffers, 'b', options.depth * options.block);
	if (io_uring_queue_init(DEPTH_MAX, &ring,
				IORING_SETUP_SINGLE_ISSUER |
					IORING_SETUP_DEFER_TASKRUN) < 0 ||
	    io_uring_register_files(&ring, &fd, 1) < 0)
		die("no ring");
	measure(fd);
	return 0;
}
