// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The supervisor's actions when servers die: supervisor.c by itself, with
 * stand-ins for everything around it (recovery-played.c).  The clock is the
 * test's.
 *
 *	at once		the next server comes before anything else is done (P5)
 *	delays		grow with short lives, and have an end
 *	giving up	ten that never served in a minute, or two in a row that
 *			name a lasting cause; never the disk
 *	afterwards	a server that serves makes all of that forgotten
 */
#include <errno.h>
#include <string.h>
#include "plugin/supervisor/watch.h"
#include "tests/commands/recovery.h"
#include "tests/lib/helpers.h"

#define SECOND 1000u
#define MINUTE (60 * SECOND)

static struct stats stats;
static struct supervisor sv;
static unsigned int before; /* servers, at the last look */

/* ---- steps ---- */

/* A disk that has been live for long. */
static void begin(void)
{
	memset(&sv, 0, sizeof(sv));
	memset(&stats, 0, sizeof(stats));
	played = (struct played){
		.now = 100 * MINUTE,
		.presence = DEVICE_WAITING,
		.hooked = -1,
	};
	before = 0;
	sv.stats = &stats;
	sv.phase = PHASE_LIVE;
	sv.disk.state = DISK_LIVE;
	sv.disk.server.pid = 1000;
	sv.tally.live_since = played.now - MINUTE;
}

static void must_be(enum phase phase, const char *what)
{
	if (sv.phase != phase)
		die("%s: the phase is %d and not %d", what, sv.phase, phase);
}

static void dies(enum failure_cause cause)
{
	sv.cause = cause;
	supervisor_handle(&sv, EVENT_DIED);
}

static void serves(void)
{
	supervisor_handle(&sv, EVENT_LIVE);
	must_be(PHASE_LIVE, "a server serves");
}

/* The next server came at once. */
static void at_once(const char *what)
{
	must_be(PHASE_RECOVERING, what);
	if (played.spawned == before)
		die("%s: no server was started", what);
	before = played.spawned;
}

/* The next server comes after that long, not earlier. */
static void after(uint64_t ms, const char *what)
{
	must_be(PHASE_WAITING, what);
	if (sv.deadline != played.now + ms)
		die("%s: it comes after %d ms and not %d", what,
		    (int)(sv.deadline - played.now), (int)ms);
	played.now = sv.deadline;
	supervisor_handle(&sv, EVENT_TIMER);
	must_be(PHASE_RECOVERING, what);
}

/* ---- the tests ---- */

static void test_crash(void)
{
	begin();
	sv.force_open = true;
	dies(CAUSE_PASSING);
	at_once("a crash");
	if (!played.spawned_before_hook || played.hooked != DISK_EVENT_CRASHED)
		die("a crash: the hook comes before the server, or not at all");
	if (played.saved.state != DISK_RECOVERING ||
	    played.saved.server.pid != 1001)
		die("a crash: the record does not tell");
	if (stats.nr_stalls != 1 || stats.stalls[0].ended)
		die("a crash: no stall has begun");
	played.now += 300;
	serves();
	if (played.hooked != DISK_EVENT_RECOVERED ||
	    played.saved.recoveries != 1 || played.saved.state != DISK_LIVE ||
	    played.saved.reason[0])
		die("a recovery is not told of");
	if (!stats.stalls[0].ended || stats.stalls[0].ms != 300)
		die("a recovery: the stall does not end");
	if (!sv.unbroken || sv.force_open)
		die("a recovery: our locks hold, and nothing is forced again");
}

/* Servers that serve, and die young. */
static void test_short_lives(void)
{
	begin();
	dies(CAUSE_PASSING);
	at_once("the first");
	for (unsigned int i = 0; i < 2; i++) {
		serves();
		played.now += 10;
		dies(CAUSE_PASSING);
		at_once("two more");
	}
	for (uint64_t ms = 100; ms < 1000; ms *= 2) {
		serves();
		dies(CAUSE_PASSING);
		after(ms, "a delay that grows");
	}
	for (unsigned int i = 0; i < 20; i++) {
		serves();
		dies(CAUSE_PASSING);
		after(1000, "the longest delay");
	}
	serves();
	played.now += SECOND;
	dies(CAUSE_PASSING);
	at_once("after a long life");
}

/* Servers that never serve. */
static void test_stillborn(void)
{
	static const unsigned int delays[] = { 100,  200,  400, 800,
					       1600, 3200, 5000 };

	begin();
	dies(CAUSE_PASSING);
	at_once("the first");
	dies(CAUSE_PASSING);
	at_once("the second");
	dies(CAUSE_PASSING);
	at_once("the third");
	for (unsigned int i = 0; i < 7; i++) {
		dies(CAUSE_PASSING);
		after(delays[i], "one that never served");
	}
	if (played.settled)
		die("it has given up too early");
	played.hooked = -1;
	dies(CAUSE_PASSING);
	must_be(PHASE_FAILED, "ten that never served");
	if (!played.settled_failed || played.hooked != DISK_EVENT_GAVE_UP ||
	    played.saved.state != DISK_FAILED || played.finished)
		die("it does not tell that it gave up");
	played.now += 10 * MINUTE;
	supervisor_handle(&sv, EVENT_TIMER);
	must_be(PHASE_FAILED, "it waits for somebody");
	/* An admin runs `recover`, and all is forgotten. */
	supervisor_handle(&sv, EVENT_RECOVER);
	at_once("recover");
	dies(CAUSE_PASSING);
	at_once("the first after that");
}

/* Those that merge; the disk can be served without. */
static void test_merging(void)
{
	begin();
	sv.disk.merging = 1;
	dies(CAUSE_PASSING);
	at_once("the first");
	dies(CAUSE_PASSING);
	at_once("the second");
	dies(CAUSE_PASSING);
	at_once("the third");
	if (played.dropped)
		die("a merge is given up too early");
	dies(CAUSE_PASSING);
	at_once("without the merge");
	if (played.dropped != 1)
		die("the merge is not given up");
	serves();
}

/* All is merged, and the record does not say yet by whom the disk is served. */
static void test_merged(void)
{
	begin();
	sv.disk.merging = 1;
	sv.disk.merged = true;
	supervisor_recover(&sv);
	if (played.spawned || played.switched != 1)
		die("a server comes between a merge and the switch");
}

/* Ten, but not in a minute. */
static void test_slow_deaths(void)
{
	begin();
	dies(CAUSE_PASSING);
	for (unsigned int i = 0; i < 30; i++) {
		played.now += 7 * SECOND;
		dies(CAUSE_PASSING);
		if (sv.phase == PHASE_WAITING)
			supervisor_handle(&sv, EVENT_TIMER);
		must_be(PHASE_RECOVERING, "slow deaths");
	}
}

static void test_lasting(void)
{
	begin();
	dies(CAUSE_PASSING);
	dies(CAUSE_LASTING);
	after(1000, "a lasting cause");
	/* One that passes, between: it may be a file that is replaced. */
	dies(CAUSE_PASSING);
	must_be(PHASE_RECOVERING, "a passing cause");
	dies(CAUSE_LASTING);
	after(1000, "a lasting cause again");
	dies(CAUSE_LASTING);
	must_be(PHASE_FAILED, "two in a row");
	if (played.hooked != DISK_EVENT_GAVE_UP)
		die("two in a row: the hook is not told");
}

static void test_forgotten(void)
{
	begin();
	dies(CAUSE_PASSING);
	for (unsigned int i = 0; i < 40; i++) {
		dies(CAUSE_LASTING);
		if (sv.phase == PHASE_WAITING)
			supervisor_handle(&sv, EVENT_TIMER);
		must_be(PHASE_RECOVERING, "before it serves");
		serves();
		dies(CAUSE_PASSING);
		if (sv.phase == PHASE_WAITING)
			supervisor_handle(&sv, EVENT_TIMER);
	}
}

/* No memory, no process: it is tried again. */
static void test_no_process(void)
{
	begin();
	played.spawn_result = -EAGAIN;
	dies(CAUSE_PASSING);
	for (unsigned int i = 0; i < 40; i++) {
		must_be(PHASE_WAITING, "no process");
		if (sv.deadline <= played.now ||
		    sv.deadline > played.now + 5 * SECOND)
			die("no process: it waits %d ms",
			    (int)(sv.deadline - played.now));
		played.now = sv.deadline;
		supervisor_handle(&sv, EVENT_TIMER);
	}
	played.spawn_result = 0;
	played.now = sv.deadline;
	supervisor_handle(&sv, EVENT_TIMER);
	at_once("a process at last");
}

/* Only a device that is gone has no use for another server. */
static void test_gone(void)
{
	begin();
	played.presence = DEVICE_ENDED;
	dies(CAUSE_PASSING);
	at_once("a crash beside a device that looks stopped");
	dies(CAUSE_PASSING);
	if (played.finished != 1)
		die("the device is gone, and it goes on");
	begin();
	played.presence = DEVICE_ABSENT;
	sv.orderly = true;
	dies(CAUSE_PASSING);
	if (played.finished != 1 || played.spawned)
		die("an orderly end, and it goes on");
	begin();
	sv.orderly = true;
	dies(CAUSE_PASSING);
	at_once("an orderly end while the device waits");
}

/* A slow server is told of, and left alone. */
static void test_slow(void)
{
	uint64_t first;

	begin();
	dies(CAUSE_PASSING);
	first = sv.deadline;
	if (first != played.now + 10 * SECOND)
		die("a slow server is told of after %d ms",
		    (int)(first - played.now));
	played.now = first;
	supervisor_handle(&sv, EVENT_TIMER);
	must_be(PHASE_RECOVERING, "a slow server");
	if (played.spawned != 1 || sv.deadline != played.now + MINUTE)
		die("a slow server is not left alone, or told of no more");
	serves();
	if (sv.deadline)
		die("a server that serves is still timed");
}

int main(void)
{
	test_crash();
	test_short_lives();
	test_stillborn();
	test_merging();
	test_merged();
	test_slow_deaths();
	test_lasting();
	test_forgotten();
	test_no_process();
	test_gone();
	test_slow();
	return 0;
}
