// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What the supervisor does when servers die: supervisor.c by itself, with
 * everything around it played.  The clock is the test's.
 *
 *	at once		the next server comes before anything else is done (P5)
 *	delays		grow with short lives, and have an end
 *	giving up	ten that never served in a minute, or two in a row that
 *			name a lasting cause; never the disk
 *	afterwards	a server that serves makes all of that forgotten
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>
#include "plugin/supervisor/notify.h"
#include "plugin/supervisor/teardown.h"
#include "plugin/supervisor/watch.h"
#include "tests/lib/helpers.h"

#define SECOND 1000u
#define MINUTE (60 * SECOND)

static struct stats stats;
static struct supervisor sv;
static uint64_t now;
static unsigned int spawned, before, settled, finished;
static unsigned int dropped, switched;
static pid_t dead; /* the last server that died */
static bool settled_failed, spawned_before_hook;
static int hooked; /* the last event; -1: none since the last look */
static int spawn_result;
static enum device_presence presence;
static struct disk saved;

/* ---- what is around it ---- */

uint64_t __wrap_clock_ms(void);
uint64_t __wrap_clock_ms(void)
{
	return now;
}

int __wrap_disk_save(const struct disk *disk, const struct layers *layers);
int __wrap_disk_save(const struct disk *disk, const struct layers *layers)
{
	(void)layers;
	saved = *disk;
	return 0;
}

void __wrap_log_line(int priority, const char *format, ...);
void __wrap_log_line(int priority, const char *format, ...)
{
	(void)priority;
	(void)format;
}

void notify(enum notice notice, const char *format, ...)
{
	(void)notice;
	(void)format;
}

void trouble_notify(const struct disk *disk)
{
	(void)disk;
}

int spawn_server(struct supervisor *s, bool recover)
{
	if (!recover)
		die("a server that does not recover is started");
	if (spawn_result)
		return spawn_result;
	spawned++;
	spawned_before_hook = hooked < 0;
	s->disk.server.pid = 1000 + spawned;
	s->death[0] = '\0';
	s->cause = CAUSE_PASSING;
	return 0;
}

void spawn_reap(struct supervisor *s)
{
	snprintf(s->death, sizeof(s->death), "it died");
	dead = s->disk.server.pid;
	s->disk.server.pid = 0;
}

void watch_settle(struct supervisor *s, bool failed, const char *format, ...)
{
	(void)s;
	(void)format;
	settled++;
	settled_failed = failed;
}

void watch_settle_event(struct supervisor *s, enum disk_event event,
			const char *format, ...)
{
	(void)s;
	(void)format;
	settled++;
	settled_failed = disk_event_priority(event) <= LOG_ERR;
}

void hooks_run(struct hooks *hooks, const struct disk *disk,
	       enum disk_event event, pid_t server)
{
	(void)hooks;
	(void)disk;
	if (event == DISK_EVENT_CRASHED && server != dead)
		die("the hook hears of the wrong server");
	hooked = event;
}

int teardown_look(const struct disk *disk, enum device_presence *result)
{
	(void)disk;
	*result = presence;
	return 0;
}

void finish_stopped(struct supervisor *s)
{
	(void)s;
	finished++;
}

void hold_tell_where(const struct supervisor *s, char *text, size_t size)
{
	(void)s;
	(void)text;
	(void)size;
}

void change_grow_device(struct supervisor *s)
{
	(void)s;
}

void merge_drop(struct supervisor *s, const char *why)
{
	if (!*why)
		die("a merge is dropped and nobody is told why");
	dropped++;
	s->disk.merging = 0;
	supervisor_recover(s);
}

void merge_switch(struct supervisor *s)
{
	s->disk.merged = false;
	switched++;
}

void watchdog_begin(struct supervisor *s)
{
	(void)s;
}

void watchdog_end(struct supervisor *s)
{
	(void)s;
}

#define PLAYED(name) \
	void name(struct supervisor *s) \
	{ \
		(void)s; \
		die("%s() is called", #name); \
	}

PLAYED(begin_add_device)
PLAYED(begin_publish)
PLAYED(begin_fail)
PLAYED(begin_abandon)
PLAYED(leave_put_off)
PLAYED(leave_hand_over)
PLAYED(adopt_lock)
PLAYED(change_begin)
PLAYED(change_server_ended)
PLAYED(change_image_closed)
PLAYED(change_end)
PLAYED(change_abandon)
PLAYED(change_put_off)
PLAYED(renew)
PLAYED(change_program)
PLAYED(change_resume)
PLAYED(merge_try_again)
PLAYED(hold_layers)
PLAYED(finish_start)
PLAYED(finish_recovering)
PLAYED(finish_server_ended)
PLAYED(finish_lose_patience)
PLAYED(finish_refuse_recovery)
PLAYED(finish_hasten)
PLAYED(finish_device_stopped)
PLAYED(finish_image_closed)

/* ---- steps ---- */

/* A disk that has been live for long. */
static void begin(void)
{
	memset(&sv, 0, sizeof(sv));
	memset(&stats, 0, sizeof(stats));
	now = 100 * MINUTE;
	spawned = before = settled = finished = 0;
	dropped = switched = 0;
	spawn_result = 0;
	presence = DEVICE_WAITING;
	hooked = -1;
	sv.stats = &stats;
	sv.phase = PHASE_LIVE;
	sv.disk.state = DISK_LIVE;
	sv.disk.server.pid = 1000;
	sv.tally.live_since = now - MINUTE;
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
	if (spawned == before)
		die("%s: no server was started", what);
	before = spawned;
}

/* The next server comes after that long, not earlier. */
static void after(uint64_t ms, const char *what)
{
	must_be(PHASE_WAITING, what);
	if (sv.deadline != now + ms)
		die("%s: it comes after %d ms and not %d", what,
		    (int)(sv.deadline - now), (int)ms);
	now = sv.deadline;
	supervisor_handle(&sv, EVENT_TIMER);
	must_be(PHASE_RECOVERING, what);
}

/* ---- what must be true ---- */

static void test_crash(void)
{
	begin();
	sv.force_open = true;
	dies(CAUSE_PASSING);
	at_once("a crash");
	if (!spawned_before_hook || hooked != DISK_EVENT_CRASHED)
		die("a crash: the hook comes before the server, or not at all");
	if (saved.state != DISK_RECOVERING || saved.server.pid != 1001)
		die("a crash: the record does not tell");
	if (stats.nr_stalls != 1 || stats.stalls[0].ended)
		die("a crash: no stall has begun");
	now += 300;
	serves();
	if (hooked != DISK_EVENT_RECOVERED || saved.recoveries != 1 ||
	    saved.state != DISK_LIVE || saved.reason[0])
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
		now += 10;
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
	now += SECOND;
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
	if (settled)
		die("it has given up too early");
	hooked = -1;
	dies(CAUSE_PASSING);
	must_be(PHASE_FAILED, "ten that never served");
	if (!settled_failed || hooked != DISK_EVENT_GAVE_UP ||
	    saved.state != DISK_FAILED || finished)
		die("it does not tell that it gave up");
	now += 10 * MINUTE;
	supervisor_handle(&sv, EVENT_TIMER);
	must_be(PHASE_FAILED, "it waits for somebody");
	/* Somebody comes, and all is forgotten. */
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
	if (dropped)
		die("a merge is given up too early");
	dies(CAUSE_PASSING);
	at_once("without the merge");
	if (dropped != 1)
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
	if (spawned || switched != 1)
		die("a server comes between a merge and the switch");
}

/* Ten, but not in a minute. */
static void test_slow_deaths(void)
{
	begin();
	dies(CAUSE_PASSING);
	for (unsigned int i = 0; i < 30; i++) {
		now += 7 * SECOND;
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
	if (hooked != DISK_EVENT_GAVE_UP)
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
	spawn_result = -EAGAIN;
	dies(CAUSE_PASSING);
	for (unsigned int i = 0; i < 40; i++) {
		must_be(PHASE_WAITING, "no process");
		if (sv.deadline <= now || sv.deadline > now + 5 * SECOND)
			die("no process: it waits %d ms",
			    (int)(sv.deadline - now));
		now = sv.deadline;
		supervisor_handle(&sv, EVENT_TIMER);
	}
	spawn_result = 0;
	now = sv.deadline;
	supervisor_handle(&sv, EVENT_TIMER);
	at_once("a process at last");
}

/* Only a device that is gone has no use for another server. */
static void test_gone(void)
{
	begin();
	presence = DEVICE_ENDED;
	dies(CAUSE_PASSING);
	at_once("a crash beside a device that looks stopped");
	dies(CAUSE_PASSING);
	if (finished != 1)
		die("the device is gone, and it goes on");
	begin();
	presence = DEVICE_ABSENT;
	sv.orderly = true;
	dies(CAUSE_PASSING);
	if (finished != 1 || spawned)
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
	if (first != now + 10 * SECOND)
		die("a slow server is told of after %d ms", (int)(first - now));
	now = first;
	supervisor_handle(&sv, EVENT_TIMER);
	must_be(PHASE_RECOVERING, "a slow server");
	if (spawned != 1 || sv.deadline != now + MINUTE)
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
