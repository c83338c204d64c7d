// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A request that kills its servers is found, and no other request fails for it.
 *
 *	the count	the deaths that are a proof, and how many may fail
 *	the quarantine	the requests that begin, that are held and until when,
 *			and the request that is alone
 */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include "plugin/server/quarantine.h"
#include "plugin/server/request.h"
#include "plugin/supervisor/poison.h"
#include "tests/lib/helpers.h"

#define TAGS   8u
#define SECOND 1000000000ull
#define HOUR   3600000ull /* ms */

static struct poison poison;
static struct requests all;
static struct request requests[TAGS];
static uint64_t hours;

/* ---- the count ---- */

static struct culprit culprit(uint64_t sector, bool alone)
{
	return (struct culprit){
		.sector = sector,
		.sectors = 8,
		.tag = sector % TAGS,
		.op = UBLK_IO_OP_WRITE,
		.alone = alone,
	};
}

static void count(struct culprit name, int signal)
{
	poison_begin(&poison);
	poison_name(&poison, &name);
	poison_count(&poison, signal, hours * HOUR);
}

/* A server dies of a request; so many have died of it in a row then. */
static void dies_of(struct culprit name, int signal, unsigned int deaths)
{
	count(name, signal);
	if (poison.deaths != deaths)
		die("%u deaths in a row, and not %u", poison.deaths, deaths);
}

static void dies(int signal)
{
	poison_begin(&poison);
	poison_count(&poison, signal, hours * HOUR);
	if (poison.deaths)
		die("a death of no request counts");
}

static void test_row(void)
{
	memset(&poison, 0, sizeof(poison));
	dies_of(culprit(1, false), SIGSEGV, 1);
	dies_of(culprit(1, true), SIGABRT, 2);
	dies_of(culprit(1, true), SIGILL, 3);
	if (!poison.untold)
		die("nobody is told");
	/* It has failed; its user tries again. */
	dies_of(culprit(1, true), SIGSEGV, 1);
	dies_of(culprit(1, false), SIGSEGV, 1);
	dies_of(culprit(1, true), SIGSEGV, 2);
	/* Not alone; another one; killed meanwhile; no request at all. */
	dies_of(culprit(1, false), SIGSEGV, 1);
	dies_of(culprit(1, true), SIGSEGV, 2);
	dies_of(culprit(2, true), SIGSEGV, 1);
	dies_of(culprit(2, true), SIGFPE, 2);
	dies_of(culprit(2, true), SIGKILL, 0);
	dies_of(culprit(2, true), SIGABRT, 1);
	dies_of(culprit(2, true), SIGSEGV, 2);
	dies(SIGSEGV);
	dies_of(culprit(2, true), SIGBUS, 0);
	dies_of(culprit(2, true), SIGTRAP, 0);
	dies_of(culprit(2, true), 0, 0);
	dies(SIGABRT);
}

/* The server that should fail it is killed before that: nothing has failed, and
   no message tells of a failure. */
static void test_killed_before(void)
{
	memset(&poison, 0, sizeof(poison));
	dies_of(culprit(1, false), SIGSEGV, 1);
	dies_of(culprit(1, true), SIGSEGV, 2);
	dies_of(culprit(1, true), SIGSEGV, 3);
	if (!poison.untold || poison.found != 1)
		die("it is not counted");
	dies(SIGKILL);
	if (poison.untold || poison.found)
		die("it is told of a request that has not failed");
}

/* All that two names can differ in. */
static void test_names(void)
{
	const struct culprit one = culprit(16, true);
	struct culprit others[5];
	size_t i;

	for (i = 0; i < 5; i++)
		others[i] = one;
	others[0].sector++;
	others[1].sectors++;
	others[2].queue_id++;
	others[3].tag++;
	others[4].op = UBLK_IO_OP_READ;
	memset(&poison, 0, sizeof(poison));
	for (i = 0; i < 5; i++) {
		dies_of(one, SIGSEGV, 1);
		dies_of(others[i], SIGSEGV, 1);
	}
}

/* A server that says more than one name: the first one counts. */
static void test_first_word(void)
{
	const struct culprit one = culprit(1, true), other = culprit(2, true);

	memset(&poison, 0, sizeof(poison));
	poison_begin(&poison);
	poison_name(&poison, &one);
	poison_name(&poison, &other);
	poison_count(&poison, SIGSEGV, 0);
	if (!culprit_is(&poison.culprit, &one))
		die("the last word counts");
}

static bool fails(uint64_t sector)
{
	poison.untold = false;
	dies_of(culprit(sector, true), SIGSEGV, 1);
	dies_of(culprit(sector, true), SIGSEGV, 2);
	count(culprit(sector, true), SIGSEGV);
	if (poison.untold != (poison.deaths == CULPRIT_GUILTY))
		die("it fails and nobody is told, or the other way round");
	return poison.untold;
}

/* A server that dies of all requests is not their fault. */
static void test_every_request(void)
{
	uint64_t sector;

	memset(&poison, 0, sizeof(poison));
	for (sector = 0; sector < POISONS_MAX; sector++)
		if (!fails(8 * sector))
			die("the first ones do not fail");
	for (; sector < 20; sector++) {
		if (fails(8 * sector))
			die("every request fails");
		dies(SIGKILL);
	}
	hours++;
	if (!fails(0))
		die("none fails ever again");
}

/* ---- the quarantine ---- */

/* The next server; nothing has come yet. */
static void begin_server(const struct culprit *culprit, unsigned int deaths)
{
	unsigned int i;

	quarantine_init(&all.quarantine, culprit, deaths);
	for (i = 0; i < TAGS; i++)
		requests[i] = (struct request){
			.all = &all,
			.tag = i,
			.op = UBLK_IO_OP_WRITE,
			.offset = i * QCOW_SECTOR,
			.length = 8 * QCOW_SECTOR,
		};
}

static void expect_culprit(unsigned int tag, unsigned int deaths)
{
	const struct culprit name = culprit(tag, false);

	begin_server(&name, deaths);
}

static void admit_at(unsigned int tag, uint64_t now, int expected)
{
	int ret = quarantine_admit(&all.quarantine, &requests[tag], now);

	if (ret != expected)
		die("request %u: %d and not %d", tag, ret, expected);
}

static void admit(unsigned int tag, int expected)
{
	admit_at(tag, SECOND, expected);
}

static void end(unsigned int tag)
{
	quarantine_end(&all.quarantine, &requests[tag]);
}

static void is_next(unsigned int tag, uint64_t now)
{
	if (quarantine_next(&all.quarantine, now) != &requests[tag])
		die("request %u is not the next one", tag);
}

static void none_is_next(uint64_t now)
{
	if (quarantine_next(&all.quarantine, now))
		die("one that is held begins too early");
}

static void is_alone(unsigned int tag, bool expected)
{
	if (quarantine_name(&requests[tag]).alone != expected)
		die("request %u is%s alone", tag, expected ? " not" : "");
}

static void test_no_culprit(void)
{
	expect_culprit(0, 0);
	admit(1, 0);
	admit(0, 0);
	is_alone(0, false);
	end(0);
	none_is_next(SECOND);
	if (quarantine_wait(&all.quarantine))
		die("it waits for nothing");
}

static void test_alone(void)
{
	expect_culprit(3, 1);
	admit(1, -EBUSY);
	admit(2, -EBUSY);
	if (!quarantine_wait(&all.quarantine) ||
	    quarantine_wait(&all.quarantine) >= SECOND)
		die("nobody looks at it again in time");
	none_is_next(SECOND);
	admit(3, 0);
	is_alone(3, true);
	is_alone(1, false);
	admit(4, -EBUSY);
	none_is_next(SECOND);
	end(3);
	is_alone(3, false);
	is_next(1, SECOND);
	is_next(2, SECOND);
	is_next(4, SECOND);
	none_is_next(SECOND);
	/* A request that was served is no culprit any more. */
	admit(3, 0);
	admit(1, 0);
	is_alone(3, false);
}

static void test_patience(void)
{
	expect_culprit(3, 2);
	admit(1, -EBUSY);
	admit(3, 0);
	none_is_next(5 * SECOND);
	is_next(1, 7 * SECOND);
	is_alone(3, false);
	admit(2, 0);
	/* It never comes. */
	expect_culprit(3, 2);
	admit(1, -EBUSY);
	is_next(1, 7 * SECOND);
	admit(3, 0);
	is_alone(3, false);
}

/* The driver has issued all again, and the culprit was not among them. */
static void test_idle(void)
{
	expect_culprit(3, 2);
	quarantine_begin(&all.quarantine, SECOND);
	admit_at(1, 2 * SECOND, -EBUSY);
	admit_at(2, 7 * SECOND, -EBUSY); /* behind the other one */
	is_next(1, 7 * SECOND);
	is_next(2, 7 * SECOND);
	expect_culprit(3, 2);
	quarantine_begin(&all.quarantine, SECOND);
	admit_at(1, 7 * SECOND, 0);
	admit_at(3, 7 * SECOND, 0);
	is_alone(3, false);
	/* It is the first one all the same. */
	expect_culprit(3, 2);
	quarantine_begin(&all.quarantine, SECOND);
	admit_at(3, 7 * SECOND, 0);
	is_alone(3, true);
}

static void test_guilty(void)
{
	expect_culprit(3, CULPRIT_GUILTY);
	admit(1, -EBUSY);
	admit(3, -EIO);
	is_next(1, SECOND);
	admit(2, 0);
	/* It alone, and once. */
	admit(3, 0);
}

/* The first one with its tag is another request. */
static void test_other_tags(void)
{
	unsigned int deaths;

	for (deaths = 1; deaths <= CULPRIT_GUILTY; deaths++) {
		expect_culprit(3, deaths);
		requests[3].offset += QCOW_SECTOR;
		admit(3, 0);
		is_alone(3, false);
		requests[3].offset -= QCOW_SECTOR;
		admit(3, 0);
		is_alone(3, false);
		admit(4, 0);
	}
}

int main(void)
{
	test_row();
	test_killed_before();
	test_names();
	test_first_word();
	test_every_request();
	test_no_culprit();
	test_alone();
	test_patience();
	test_idle();
	test_guilty();
	test_other_tags();
	return 0;
}
