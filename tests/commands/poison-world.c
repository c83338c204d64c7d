// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * An invented driver.  Its servers die at random: of some requests, of damage
 * that other requests have done, and by kills from outside.  A request fails
 * only if it has killed three servers in a row.  Such a request does fail,
 * unless there are kills from outside meanwhile.
 */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include "plugin/server/quarantine.h"
#include "plugin/server/request.h"
#include "plugin/supervisor/poison.h"
#include "tests/lib/helpers.h"

#define TAGS	8u
#define SERVERS 60u
#define STEPS	500u /* of a server, if nothing ends it */
#define SECOND	1000000000ull
#define HOUR	3600000ull /* ms */

static struct poison poison;
static struct requests all;
static struct request requests[TAGS];

/* A request of the guest, until it is answered. */
static struct pending {
	uint64_t sector;
	bool kills;	   /* the server that begins it */
	bool spoils;	   /* so that the server dies of the next one */
	bool issued;	   /* to this server */
	bool begun;	   /* by it */
	unsigned int died; /* of it, in a row */
} driver[TAGS];

struct world {
	struct random random;
	uint64_t sector; /* the next new one */
	uint64_t now;
	bool disturbed; /* somebody kills, requests spoil */
	bool spoilt;
	bool dead;
	unsigned int deaths, failed, served;
};

static bool chance(struct world *world, unsigned int percent)
{
	return random_below(&world->random, 100) < percent;
}

static void ask_anew(struct world *world, unsigned int tag)
{
	driver[tag] = (struct pending){
		.sector = world->sector++,
		.kills = chance(world, 5),
		.spoils = world->disturbed && chance(world, 5),
	};
}

static void server_ends(struct world *world, int signal,
			const struct culprit *name)
{
	unsigned int i;

	if (name)
		poison_name(&poison, name);
	poison_count(&poison, signal, world->deaths++ * HOUR);
	for (i = 0; i < TAGS; i++)
		if (!name || i != name->tag)
			driver[i].died = 0;
	world->dead = true;
}

static void begin(struct world *world, unsigned int tag)
{
	struct culprit name;

	driver[tag].begun = true;
	if (driver[tag].kills || world->spoilt) {
		name = quarantine_name(&requests[tag]);
		driver[tag].died++;
		server_ends(world, SIGSEGV, &name);
	}
	world->spoilt |= driver[tag].spoils;
}

static void issue(struct world *world, unsigned int tag)
{
	int ret;

	driver[tag].issued = true;
	requests[tag].offset = driver[tag].sector * QCOW_SECTOR;
	ret = quarantine_admit(&all.quarantine, &requests[tag], world->now);
	if (!ret)
		begin(world, tag);
	if (ret != -EIO)
		return;
	if (!driver[tag].kills || driver[tag].died < CULPRIT_GUILTY)
		die("an innocent request fails, after %u deaths of it",
		    driver[tag].died);
	world->failed++;
	ask_anew(world, tag);
}

static void answer(struct world *world, unsigned int tag)
{
	quarantine_end(&all.quarantine, &requests[tag]);
	world->served++;
	ask_anew(world, tag);
}

static void disturb(struct world *world)
{
	static const int signals[] = { SIGKILL, SIGSEGV, SIGABRT, SIGILL };

	if (world->disturbed && chance(world, 4))
		server_ends(world, signals[random_below(&world->random, 4)],
			    NULL);
}

static void live_on(struct world *world)
{
	unsigned int tag = random_below(&world->random, TAGS);
	struct request *request;

	world->now += SECOND / 10;
	if (!driver[tag].issued)
		issue(world, tag);
	else if (driver[tag].begun)
		answer(world, tag);
	while (!world->dead &&
	       (request = quarantine_next(&all.quarantine, world->now)))
		begin(world, request->tag);
	if (!world->dead)
		disturb(world);
}

/* The driver issues the unanswered requests, with their tags, in any order. */
static void live_and_die(struct world *world)
{
	unsigned int i, steps;

	quarantine_init(&all.quarantine, &poison.culprit, poison.deaths);
	poison_begin(&poison);
	world->dead = false;
	world->spoilt = false;
	for (i = 0; i < TAGS; i++) {
		requests[i] = (struct request){
			.all = &all,
			.tag = i,
			.op = UBLK_IO_OP_WRITE,
			.length = 8 * QCOW_SECTOR,
		};
		driver[i].issued = false;
		driver[i].begun = false;
	}
	for (steps = 0; steps < STEPS && !world->dead; steps++)
		live_on(world);
	if (!world->dead)
		server_ends(world, SIGKILL, NULL);
}

static void test_world(uint64_t seed, bool disturbed)
{
	struct world world = {
		.random.state = seed,
		.disturbed = disturbed,
		.now = SECOND,
	};
	unsigned int i;

	memset(&poison, 0, sizeof(poison));
	for (i = 0; i < TAGS; i++)
		ask_anew(&world, i);
	for (i = 0; i < SERVERS; i++)
		live_and_die(&world);
	/* One in twenty kills, and takes three servers. */
	if (!disturbed && (world.failed < 17 || world.served < 100))
		die("seed %d: %u failed and %u were served", (int)seed,
		    world.failed, world.served);
}

int main(void)
{
	uint64_t seed;

	for (seed = 1; seed <= 2000 * effort(); seed++) {
		test_world(seed, true);
		test_world(seed, false);
	}
	return 0;
}
