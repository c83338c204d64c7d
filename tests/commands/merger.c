// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The merger merges while a guest writes, and has the queue leave before the
 * guest would have to wait for long.  Then it merges the rest, and the layer by
 * itself is the disk.  The merger can be ended at any moment, tells how far it
 * is, and refuses a layer that could not be served.  It comes to its end even
 * if no process lives long enough for the whole merge.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "plugin/common/channel.h"
#include "plugin/common/process.h"
#include "plugin/server/merger.h"
#include "plugin/server/queues.h"
#include "tests/lib/helpers.h"
#include "tests/lib/model.h"

#define SIZE (64u << 20)

static struct {
	struct qcow_image *image;
	struct merger *merger;
	struct qcow_merge_kept kept;
	int ends[2];
	pthread_t guest;
	atomic_bool leaving;
	atomic_uint writes;
	uint64_t area; /* bytes that the guest writes to */
} test = { .area = SIZE };

void queues_leave(struct queues *queues)
{
	if (queues != (struct queues *)&test)
		die("other queues are to leave");
	test.leaving = true;
}

bool queues_busy(const struct queues *queues)
{
	(void)queues;
	return false;
}

/* Until the queue begins no more requests. */
static void *be_guest(void *opaque)
{
	struct random *random = opaque;
	static uint8_t bytes[4096];

	while (!test.leaving) {
		uint64_t offset = random_below(random,
					       test.area / sizeof(bytes)) *
				  sizeof(bytes);

		memset(bytes, ++test.writes, sizeof(bytes));
		if (qcow_write(test.image, bytes, offset, sizeof(bytes)))
			die("a guest's write fails");
	}
	return NULL;
}

static char *layer(void)
{
	return scratch_path("layer");
}

static void make_chain(const char *format, const char *options)
{
	char *path = layer();

	must_run("rm -f %s/*; qemu-img create -q -f %s %s %s %u", scratch(),
		 format, options, path, SIZE);
	qcow_merge_forget(&test.kept);
	must_run("qemu-img create -q -f qcow2 -F %s -b %s %s/top && "
		 "qemu-io -f qcow2 -c 'write -q -P 7 0 48M' %s/top",
		 format, path, scratch(), scratch());
	free(path);
}

static void open_chain(void)
{
	char *path = scratch_path("top");
	struct qcow_options options = {
		.cache = QCOW_CACHE_WRITEBACK,
		.journal_dir = scratch(),
		.references = &model_references,
		.merge_into = 1,
	};
	struct qcow_error error = { "" };

	if (qcow_open(path, &options, &test.image, &error))
		die("open: %s", error.text);
	if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, test.ends))
		die("socketpair");
	free(path);
}

static void close_chain(void)
{
	model_close(test.image);
	close(test.ends[0]);
	close(test.ends[1]);
}

static void create_limited(uint64_t rate)
{
	struct qcow_error error = { "" };

	if (merger_create(test.image, test.ends[1], rate, &test.kept,
			  &test.merger, &error))
		die("create: %s", error.text);
}

static void create(void)
{
	create_limited(0);
}

static void begin(struct random *random)
{
	test.leaving = false;
	test.writes = 0;
	create();
	if (pthread_create(&test.guest, NULL, be_guest, random))
		die("cannot start a guest");
	while (!test.writes)
		usleep(100);
	merger_begin(test.merger, (struct queues *)&test);
}

static void compare(void)
{
	char *path = layer();

	must_run("qemu-img compare -q -f qcow2 -F qcow2 %s/top %s", scratch(),
		 path);
	must_run("qemu-img check -q %s", path);
	free(path);
}

static void test_whole(struct random *random)
{
	struct qcow_error error = { "" };

	make_chain("qcow2", "");
	open_chain();
	begin(random);
	pthread_join(test.guest, NULL);
	if (merger_finish(test.merger, &error))
		die("finish: %s", error.text);
	merger_end(test.merger);
	close_chain();
	compare();
}

/* A message tells of the progress, in thousandths. */
static void test_told(void)
{
	struct server_message message = { 0 };

	make_chain("qcow2", "");
	open_chain();
	create();
	merger_begin(test.merger, (struct queues *)&test);
	if (channel_receive(test.ends[0], &message) ||
	    message.type != SERVER_MERGING || message.failures > 1000)
		die("it does not tell how far it is");
	merger_end(test.merger);
	close_chain();
}

/* Before it has begun, and in the middle. */
static void test_ended(struct random *random)
{
	make_chain("qcow2", "");
	open_chain();
	create();
	merger_end(test.merger);
	for (unsigned int ms = 0; ms < 20; ms += 5) {
		begin(random);
		usleep(ms * 1000);
		test.leaving = true;
		pthread_join(test.guest, NULL);
		merger_end(test.merger);
	}
	close_chain();
	must_run("qemu-img check -q %s/top", scratch());
}

/* Of 48 MiB, 32 are copied before the last round: two seconds and the burst. */
static void test_limited(void)
{
	const uint64_t began = clock_ms();
	struct qcow_error error = { "" };
	uint64_t took;

	make_chain("qcow2", "");
	open_chain();
	create_limited(16 << 20);
	test.leaving = false;
	merger_begin(test.merger, (struct queues *)&test);
	while (!test.leaving)
		usleep(1000);
	took = clock_ms() - began;
	if (took < 1700)
		die("the limit is not kept: %lu ms", took);
	if (merger_finish(test.merger, &error))
		die("finish: %s", error.text);
	merger_end(test.merger);
	close_chain();
	compare();
}

/* A step takes a quarter of a minute then, and its end does not. */
static void test_limited_end(void)
{
	uint64_t began;

	make_chain("qcow2", "");
	open_chain();
	create_limited(64 << 10);
	merger_begin(test.merger, (struct queues *)&test);
	usleep(100000);
	began = clock_ms();
	merger_end(test.merger);
	if (clock_ms() - began > 5000)
		die("it does not end");
	close_chain();
}

/* ---- killed again and again ---- */

#define LIVES_MAX 60

/* A process that merges while its guest writes: all of it, if it lives long
   enough. */
static void __attribute__((noreturn)) live(uint64_t seed)
{
	struct random random = { .state = seed };
	struct qcow_error error = { "" };

	open_chain();
	test.leaving = false;
	test.area = 4 << 20;
	create_limited(16 << 20);
	merger_begin(test.merger, (struct queues *)&test);
	be_guest(&random);
	if (merger_finish(test.merger, &error))
		die("finish: %s", error.text);
	merger_end(test.merger);
	close_chain();
	_exit(0);
}

/* No life is long enough to copy half of it. */
static bool is_killed(uint64_t seed)
{
	int status;
	pid_t child = fork();

	if (!child)
		live(seed);
	usleep(500000);
	kill(child, SIGKILL);
	if (waitpid(child, &status, 0) != child ||
	    (WIFEXITED(status) && WEXITSTATUS(status)))
		die("a life fails");
	return WIFSIGNALED(status);
}

static void test_killed(void)
{
	unsigned int lives = 1;

	make_chain("qcow2", "");
	while (is_killed(lives))
		if (++lives > LIVES_MAX)
			die("the merge makes no progress");
	compare();
	printf("merged by %u processes\n", lives);
}

static void refuse(const char *format, const char *options, const char *why)
{
	struct qcow_error error = { "" };

	make_chain(format, options);
	open_chain();
	if (merger_create(test.image, test.ends[1], 0, &test.kept, &test.merger,
			  &error) != -ENOTSUP ||
	    !strstr(error.text, why))
		die("%s %s: is not refused: %s", format, options, error.text);
	close_chain();
}

int main(int argc, char **argv)
{
	struct random random = {
		.state = argc > 1 ? strtoull(argv[1], NULL, 0) : 1,
	};
	char data[256];

	test.kept.size = qcow_merge_kept_size(SIZE);
	test.kept.memory = mmap(NULL, test.kept.size, PROT_READ | PROT_WRITE,
				MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	test_told();
	test_whole(&random);
	test_ended(&random);
	test_limited();
	test_limited_end();
	test_killed();
	snprintf(data, sizeof(data), "-o data_file=%s/data", scratch());
	refuse("raw", "", "no qcow2 image");
	refuse("qcow2", data, "data file");
	return 0;
}
