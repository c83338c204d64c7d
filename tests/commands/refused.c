// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * `del` of a disk that is in use: finish.c by itself, with stand-ins for
 * everything around it.  The disk goes on as it was, and with all that was to
 * be done.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "plugin/common/link.h"
#include "plugin/supervisor/notify.h"
#include "plugin/supervisor/teardown.h"
#include "plugin/supervisor/watch.h"
#include "tests/lib/helpers.h"

static struct supervisor sv;
static struct stats stats;
static unsigned int refused, recovered, locked, told, unmerged, killed, put_off;

int supervisor_enter(struct supervisor *s, enum phase phase)
{
	s->phase = phase;
	return 0;
}

void supervisor_recover(struct supervisor *s)
{
	(void)s;
	recovered++;
}

void adopt_lock(struct supervisor *s)
{
	(void)s;
	locked++;
}

void merged_run_hooks(struct supervisor *s)
{
	if (s->phase != PHASE_LIVE)
		die("hooks.d hears of a merge too early");
	told++;
}

/* The watch over the server is given up while the device is being stopped. */
void watchdog_forget(struct supervisor *s)
{
	s->disk.reason[0] = '\0';
}

void change_end_merge(struct supervisor *s)
{
	(void)s;
	unmerged++;
}

int teardown_stop(const struct disk *disk, bool force, char text[JOB_TEXT_MAX])
{
	(void)disk;
	(void)force;
	snprintf(text, JOB_TEXT_MAX, "in use");
	return -EBUSY;
}

void watch_settle(struct supervisor *s, bool failed, const char *format, ...)
{
	(void)s;
	(void)format;
	refused += failed;
}

void watch_put_off(struct supervisor *s, const char *state)
{
	(void)s;
	(void)state;
	put_off++;
}

void spawn_reap(struct supervisor *s)
{
	s->server = -1;
}

#define NOT_CALLED(name) die("%s() is called", #name)

void spawn_kill(struct supervisor *s)
{
	if (s->phase != PHASE_RECOVERING)
		NOT_CALLED(spawn_kill);
	killed++;
}

void watch_settle_event(struct supervisor *s, enum disk_event event,
			const char *format, ...)
{
	(void)s;
	(void)event;
	(void)format;
	NOT_CALLED(watch_settle_event);
}

int teardown_delete(const struct disk *disk)
{
	(void)disk;
	NOT_CALLED(teardown_delete);
}

int teardown_close_image(const struct disk *disk, const struct layers *layers,
			 bool locked_all, bool unbroken, bool give_up,
			 char text[JOB_TEXT_MAX])
{
	(void)disk;
	(void)layers;
	(void)locked_all;
	(void)unbroken;
	(void)give_up;
	(void)text;
	NOT_CALLED(teardown_close_image);
}

void notify(enum notice notice, const char *format, ...)
{
	(void)notice;
	(void)format;
	NOT_CALLED(notify);
}

static void begin(enum phase phase)
{
	memset(&stats, 0, sizeof(stats));
	sv = (struct supervisor){
		.phase = phase,
		.server = -1,
		.stats = &stats,
	};
	if (phase == PHASE_LIVE || phase == PHASE_RECOVERING)
		sv.server = 99;
	refused = recovered = locked = told = unmerged = killed = 0;
}

static void refuse_begun(void)
{
	if (sv.phase != PHASE_STOPPING || !process_wait(sv.job.pidfd, 30000))
		die("it does not try to stop the device");
	finish_device_stopped(&sv);
	if (refused != 1 || sv.stop_forced)
		die("it is not refused");
}

static void refuse(void)
{
	sv.deadline = 1;
	finish_start(&sv);
	refuse_begun();
}

/* The time for hooks.d, which had no process, was in sv.deadline. */
static void test_live(void)
{
	begin(PHASE_LIVE);
	strcpy(sv.disk.reason, "its server makes no progress");
	refuse();
	if (*sv.disk.reason)
		die("nobody will take back that it makes no progress");
	if (sv.phase != PHASE_LIVE || told != 1 || unmerged || recovered)
		die("a live disk does not go on");
	begin(PHASE_LIVE);
	sv.disk.merging = 1;
	sv.told_failure = true;
	refuse();
	if (sv.phase != PHASE_LIVE || unmerged != 1)
		die("a merge that has failed meanwhile goes on");
}

static void test_dead(void)
{
	begin(PHASE_LIVE);
	sv.deadline = 0;
	finish_start(&sv);
	finish_server_ended(&sv);
	if (!process_wait(sv.job.pidfd, 30000))
		die("it does not try to stop the device");
	finish_device_stopped(&sv);
	if (recovered != 1)
		die("there is no server after one that died meanwhile");
	if (stats.nr_stalls != 1 || stats.stalls[0].ended)
		die("its users wait, and the figures do not tell");
	begin(PHASE_WAITING);
	refuse();
	if (recovered != 1)
		die("there is no other server");
	begin(PHASE_LOCKING);
	refuse();
	if (locked != 1 || recovered)
		die("it does not wait for its locks");
	begin(PHASE_FAILED);
	refuse();
	if (sv.phase != PHASE_FAILED || recovered)
		die("it has not given up any more");
}

/* The recovery goes on, and the command asks again. */
static void test_put_off(void)
{
	begin(PHASE_RECOVERING);
	put_off = 0;
	finish_recovering(&sv);
	if (sv.phase != PHASE_RECOVERING || put_off != 1 || killed)
		die("a recovery is not left alone");
}

/* --force; the server that recovers is killed, put_off, and may wait for its
 * storage. */
static void test_recovering(void)
{
	begin(PHASE_RECOVERING);
	sv.stop_forced = true;
	finish_recovering(&sv);
	refuse_begun();
	if (sv.phase != PHASE_RECOVERING || killed != 1 || told)
		die("a server that was killed serves");
}

int main(void)
{
	test_live();
	test_put_off();
	test_recovering();
	test_dead();
	return 0;
}
