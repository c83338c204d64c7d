// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Random requests of several I/O threads, on the ways that a server's requests
 * take: mapped, copied and gathered, parked, with a worker.  Each is answered,
 * once, and with the right bytes, also if the kernel moves less than it was
 * asked for, or wants to be asked again.  In the end no request is left and the
 * image has no fault.
 *
 * The engine, the requests and the workers are the real ones.  Some threads
 * stand for the kernel: they make the system calls of all rings, in any order.
 * Each tag has sectors of its own, between those of the others, so that all
 * share clusters.
 *
 * usage: answered [COUNT [SEED]]
 */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include "plugin/common/disk-options.h"
#include "plugin/server/health.h"
#include "plugin/server/inflight.h"
#include "plugin/server/queue.h"
#include "tests/commands/answered.h"
#include "tests/lib/helpers.h"

#define REQUESTS 6000  /* of all threads */
#define PATIENCE 60000 /* ms, without any event */

static struct disk_options options = DISK_OPTIONS_DEFAULT;
/* With room for the figures of further I/O threads. */
static _Alignas(64) char figures[1u << 20];
static struct stats *const stats = (void *)figures;
static struct health health;
static struct shared shared;
static const char *kind; /* of the image */
static struct asker threads[THREADS];

/* ---- bytes ---- */

static uint64_t word(uint64_t sector, uint32_t generation)
{
	return (uint64_t)generation << 32 | (sector + 1);
}

static void fill(uint8_t *bytes, uint64_t sector, uint32_t generation)
{
	uint64_t w = word(sector, generation);

	for (unsigned int i = 0; i < SECTOR; i += 8)
		memcpy(bytes + i, &w, 8);
}

/* The groups of sectors of all tags take turns. */
static uint64_t place(const struct asker *thread, unsigned int tag,
		      unsigned int nr)
{
	uint64_t group = nr / GROUP * shared.threads * DEPTH +
			 thread->number * DEPTH + tag;

	return group * GROUP + nr % GROUP;
}

static void expect(const struct tag *tag, unsigned int i)
{
	const struct sector *s = &tag->sectors[tag->first + i];
	const uint64_t sector = tag->desc.start_sector + i;
	uint64_t found[SECTOR / 8];

	memcpy(found, tag->buffer + (size_t)i * SECTOR, SECTOR);
	for (unsigned int n = 1; n < SECTOR / 8; n++)
		if (found[n] != found[0])
			die("%s: sector %lu is torn", kind, sector);
	if (found[0] == 0 ? s->zero || s->maybe_zero :
			    !s->zero && found[0] == word(sector, s->generation))
		return;
	die("%s: sector %lu holds %#lx and not generation %u%s", kind, sector,
	    found[0], s->generation, s->zero ? ", but zeros" : "");
}

/* ---- requests ---- */

static uint8_t draw_operation(struct random *random)
{
	uint64_t what = random_below(random, 100);

	if (what < 50)
		return UBLK_IO_OP_WRITE;
	if (what < 83)
		return UBLK_IO_OP_READ;
	if (what < 86)
		return UBLK_IO_OP_FLUSH;
	return what < 93 ? UBLK_IO_OP_DISCARD : UBLK_IO_OP_WRITE_ZEROES;
}

static uint32_t draw_flags(struct random *random, uint8_t op)
{
	uint32_t flags = 0;

	if (op == UBLK_IO_OP_WRITE_ZEROES && random_below(random, 2))
		flags |= UBLK_IO_F_NOUNMAP;
	if ((op == UBLK_IO_OP_WRITE || op == UBLK_IO_OP_WRITE_ZEROES) &&
	    !random_below(random, 30))
		flags |= UBLK_IO_F_FUA;
	return flags;
}

/* Some sectors of one group, or all of them. */
static void draw(struct asker *thread, unsigned int nr)
{
	struct random *random = &thread->random;
	struct tag *tag = &thread->tags[nr];
	bool whole = random_below(random, 3);

	tag->op = draw_operation(random);
	tag->first = random_below(random, SECTORS);
	if (whole)
		tag->first -= tag->first % GROUP;
	tag->count = whole ? GROUP :
			     1 + random_below(random,
					      GROUP - tag->first % GROUP);
	tag->desc.op_flags = tag->op | draw_flags(random, tag->op);
	tag->desc.start_sector = place(thread, nr, tag->first);
	tag->desc.nr_sectors = tag->count;
}

static void begin(struct asker *thread, unsigned int nr)
{
	struct tag *tag = &thread->tags[nr];

	draw(thread, nr);
	for (unsigned int i = 0; i < tag->count; i++) {
		struct sector *s = &tag->sectors[tag->first + i];

		if (tag->op != UBLK_IO_OP_WRITE)
			continue;
		*s = (struct sector){ .generation = s->generation + 1 };
		fill(tag->buffer + (size_t)i * SECTOR,
		     tag->desc.start_sector + i, s->generation);
	}
	tag->busy = true;
	thread->busy++;
	thread->left--;
	counters_begin(&thread->all.counters, &tag->request);
	request_start(&tag->request);
}

void queue_commit(struct request *request, int32_t result)
{
	struct asker *thread = asker_of(request);
	struct tag *tag = &thread->tags[request->tag];

	counters_end(&thread->all.counters, request, result);
	if (!tag->busy)
		die("%s: a request is answered twice", kind);
	if (result < 0)
		die("%s: operation %u: %s", kind, tag->op, strerror(-result));
	for (unsigned int i = 0; i < tag->count; i++) {
		struct sector *s = &tag->sectors[tag->first + i];

		if (tag->op == UBLK_IO_OP_READ)
			expect(tag, i);
		/* A discard leaves parts of clusters alone. */
		else if (tag->op == UBLK_IO_OP_DISCARD)
			s->maybe_zero = true;
		else if (tag->op == UBLK_IO_OP_WRITE_ZEROES)
			s->zero = true;
	}
	tag->busy = false;
	thread->busy--;
}

/* ---- an I/O thread, as queue.c has it ---- */

static void reap(struct asker *thread)
{
	struct requests *all = &thread->all;
	struct transfer_call *call, *next;

	counters_tick(&all->counters);
	for (call = kernel_reap(thread); call; call = next) {
		next = call->next;
		if (call->gathered)
			inflight_gathered(call->request, call->result);
		else
			inflight_transferred(call->request, call->extent,
					     call->result);
		free(call);
	}
	if (requests_reap(all))
		die("%s: a worker fails", kind);
	for (unsigned int nr = 0; nr < DEPTH && thread->left; nr++)
		if (!thread->tags[nr].busy && random_below(&thread->random, 3))
			begin(thread, nr);
	gather_start(all);
	requests_admit(all);
	requests_retry(all);
}

static void *serve(void *argument)
{
	struct asker *thread = argument;
	struct pollfd fds[] = {
		{ .fd = thread->wakeups, .events = POLLIN },
		{ .fd = finished_fd(thread->all.finished), .events = POLLIN },
	};
	uint64_t count;

	while (thread->left || thread->busy) {
		bool more = thread->left && thread->busy < DEPTH;

		if (!poll(fds, 2, more ? 0 : PATIENCE) && !more)
			die("%s: %u requests are not answered, %u under way",
			    kind, thread->busy, thread->all.under_way);
		for (unsigned int i = 0; i < 2; i++)
			if (fds[i].revents && read(fds[i].fd, &count, 8) < 0)
				die("an eventfd cannot be read");
		reap(thread);
	}
	return NULL;
}

/* ---- a disk ---- */

static void create_tag(struct asker *thread, unsigned int nr, bool stamped)
{
	struct tag *tag = &thread->tags[nr];

	*tag = (struct tag){
		.buffer = aligned_alloc(4096, MAX_IO),
		.request = {
			.all = &thread->all,
			.desc = &tag->desc,
			.queue_id = thread->number,
			.tag = nr,
			.work.run = requests_work,
		},
	};
	tag->request.buffer = tag->buffer;
	for (unsigned int i = 0; i < SECTORS; i++) {
		tag->sectors[i].generation = stamped;
		tag->sectors[i].zero = !stamped;
	}
}

static void create_thread(unsigned int number, uint64_t seed, bool stamped)
{
	static const struct culprit nobody;
	struct asker *thread = &threads[number];

	*thread = (struct asker){
		.number = number,
		.random.state = seed * THREADS + number,
		.left = REQUESTS / shared.threads,
		.wakeups = eventfd(0, 0),
		.lock = PTHREAD_MUTEX_INITIALIZER,
	};
	if (requests_create(&thread->all, NULL, &shared, number, MAX_IO) ||
	    requests_open(&thread->all))
		die("cannot begin");
	quarantine_init(&thread->all.quarantine, &nobody, 0);
	for (unsigned int nr = 0; nr < DEPTH; nr++)
		create_tag(thread, nr, stamped);
}

static void destroy_thread(struct asker *thread)
{
	if (thread->all.under_way || thread->all.parked)
		die("%s: requests are left", kind);
	requests_destroy(&thread->all);
	close(thread->wakeups);
	for (unsigned int nr = 0; nr < DEPTH; nr++)
		free(thread->tags[nr].buffer);
}

static void make_image(const char *path, bool overlay)
{
	const uint64_t sectors = (uint64_t)SECTORS * DEPTH * shared.threads;
	uint8_t *bytes = malloc(sectors * SECTOR);
	char *raw = scratch_path("raw");

	for (uint64_t sector = 0; sector < sectors; sector++)
		fill(bytes + sector * SECTOR, sector, 1);
	write_file(raw, bytes, sectors * SECTOR);
	must_run("rm -f %s && qemu-img create -q -f qcow2 -o %s %s %s %s %lu",
		 path, kind, overlay ? "-F raw -b" : "", overlay ? raw : "",
		 path, sectors * SECTOR);
	free(bytes);
	free(raw);
}

static void open_image(const char *path, struct random *random)
{
	const struct qcow_options image_options = {
		.journal_dir = scratch(),
		.journal_size = 16384u << random_below(random, 6),
		.cache_size = random_below(random, 2),
	};
	struct qcow_error error;

	if (qcow_open(path, &image_options, &shared.image, &error))
		die("%s: %s", kind, error.text);
	options.workers = 1 + random_below(random, 4);
	if (workers_create(options.workers, &shared.workers))
		die("no workers");
	kernel_image(shared.image);
}

static void run_threads(void)
{
	pthread_t ids[THREADS];

	for (unsigned int i = 0; i < shared.threads; i++)
		if (pthread_create(&ids[i], NULL, serve, &threads[i]))
			die("no thread");
	for (unsigned int i = 0; i < shared.threads; i++)
		pthread_join(ids[i], NULL);
}

static void test(const char *options_of_image, bool overlay, uint64_t seed)
{
	struct random random = { .state = seed };
	char *path = scratch_path("image");

	kind = options_of_image;
	shared = (struct shared){
		.threads = 1 + random_below(&random, THREADS),
		.options = &options,
		.health = &health,
		.stats = stats,
	};
	make_image(path, overlay);
	open_image(path, &random);
	for (unsigned int i = 0; i < shared.threads; i++)
		create_thread(i, seed, overlay);
	run_threads();
	workers_destroy(shared.workers);
	for (unsigned int i = 0; i < shared.threads; i++)
		destroy_thread(&threads[i]);
	if (qcow_close(shared.image))
		die("%s: close", kind);
	must_run("qemu-img check -q %s", path);
	free(path);
}

int main(int argc, char **argv)
{
	static const struct {
		const char *options;
		bool overlay;
	} kinds[] = {
		{ "cluster_size=512", false },
		{ "cluster_size=64k", false },
		{ "cluster_size=2M", false },
		{ "cluster_size=16k,extended_l2=on", true },
		{ "cluster_size=4k", true },
		{ "cluster_size=64k", true },
		{ "cluster_size=8k,compat=0.10", true },
	};
	unsigned int count = argc > 1 ? strtoul(argv[1], NULL, 0) : effort();
	uint64_t seed = argc > 2 ? strtoull(argv[2], NULL, 0) : 1;

	options.queues = THREADS;
	if (health_create(&health))
		die("cannot begin");
	kernel_start();
	for (; count--; seed++)
		for (unsigned int k = 0; k < sizeof(kinds) / sizeof(*kinds);
		     k++)
			test(kinds[k].options, kinds[k].overlay, seed);
	return 0;
}
